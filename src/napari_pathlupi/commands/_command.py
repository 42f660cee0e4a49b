"""What every command declares, and what several of them need."""

import argparse
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.errors import OutputError

if TYPE_CHECKING:
    from napari_pathlupi.core.results import Prediction
    from napari_pathlupi.slides import Slide

Result = TypeVar("Result")
Verb = tuple[str, Callable[[argparse.Namespace], None]]
"""What it does, for the list of them, and what does it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that ``pathlupi`` does; each file of the room defines one as ``COMMAND``.

    Parameters
    ----------
    words
        What it does, for the list of commands; begins in lower case and has no full stop.
    add_arguments
        Adds its arguments to a parser. Called for every command at each start, so it imports nothing heavy.
    run
        Does it. What cannot be done is raised as a `napari_pathlupi.errors.PathlupiError`.
    """

    words: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def add_verbs(parser: argparse.ArgumentParser, verbs: Mapping[str, Verb]) -> dict[str, argparse.ArgumentParser]:
    """Add what a command can do, the first also where none is named; return the parser of each."""
    parser.set_defaults(do=next(iter(verbs.values()))[1])
    own, listed = {}, parser.add_subparsers(metavar="VERB")
    for verb, (words, do) in verbs.items():
        own[verb] = listed.add_parser(verb, help=words, description=f"{words[0].upper()}{words[1:]}.")
        own[verb].set_defaults(do=do)
    return own


def do_verb(chosen: argparse.Namespace) -> None:
    """Do what was chosen of `add_verbs`."""
    chosen.do(chosen)


def add_slide_options(
    parser: argparse.ArgumentParser,
    mpp_words: str = "µm per pixel, where the file does not say; remembered for the same content",
) -> None:
    """Add the flags that say how a slide is opened."""
    from napari_pathlupi.slides._choice import AS_STORED, COLOURS

    parser.add_argument("--mpp", type=float, help=mpp_words)
    for name in ("plane", "scene"):
        parser.add_argument(f"--{name}", type=int, default=0, help="which, as `pathlupi info` numbers them (default 0)")
    colour_words = "srgb: through the colour profile (ICC) in the file"
    parser.add_argument("--colour", choices=COLOURS, default=AS_STORED, help=colour_words)


def opened(place: str, chosen: argparse.Namespace) -> tuple["Slide", str]:
    """Return what `open_at_scale` does for the flags of a command; a place is a path or an address, to the letter."""
    from napari_pathlupi.slides._choice import Choice
    from napari_pathlupi.workflows.embedding.scale import open_at_scale

    return open_at_scale(place, chosen.mpp, Choice(chosen.plane, chosen.scene, chosen.colour))


def add_config_options(parser: argparse.ArgumentParser, words: str, example: str) -> None:
    """Add a file of settings, and the flag that changes one of them."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help=words)
    change = f"change a setting, as {example}; may be given often"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE", help=change)


def add_settings(parser: argparse.ArgumentParser, config: type) -> None:
    """Add one flag for each field of a config dataclass."""
    texts = field_texts(config)
    for field in fields(config):
        default = field.default
        count: int | str | None = len(default) if isinstance(default, tuple) else None
        kind = get_args(field.type)[0] if count is not None else field.type
        if Ellipsis in get_args(field.type):  # as many as one likes
            count = "+"
        flag = f"--{field.name.replace('_', '-')}"
        words = flag_words(texts[field.name], default)
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=words)
            continue
        parser.add_argument(flag, type=kind, nargs=count, default=default, help=words)


def flag_words(text: str, default: object = "") -> str:
    """Return what a dataclass says of a field as other flags are described, with its default where there is one."""
    begun = text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"
    shown = (
        " ".join(map(str, default))
        if isinstance(default, tuple)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )
    known = "" if default in (None, "", ()) or isinstance(default, bool) else f" (default {shown})"
    return f"{begun.removesuffix('.')}{known}".replace("%", "%%")


def settings(config: type[Result], chosen: argparse.Namespace) -> Result:
    """Return a config dataclass from the flags that were given."""
    values = {f.name: getattr(chosen, f.name) for f in fields(config)}  # type: ignore[arg-type]
    return config(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def show(steps: Steps[Result], title: str) -> Result:
    """Drive long work behind a progress bar and return its result."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(title, total=None)
        while True:
            try:
                progress: Progress = next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            total = progress.total or None
            bars.update(bar, description=f"{title}: {progress.stage}", completed=progress.done, total=total)
            if progress.message:
                bars.console.print(progress.message)


def tell(prediction: "Prediction", scale_note: str, files: Sequence[Path]) -> None:
    """Print a prediction, what must be said of it, and the files that hold it."""
    print(f"{prediction.provenance.slide_name}: {prediction.words}")
    if not (prediction.reference.supported and prediction.reference.known):
        print(f"  {prediction.reference}")
    if prediction.answer.remark and prediction.reference.supported:
        print(f"  {prediction.answer.remark}")
    for row in prediction.answer.rows():
        print(f"  {row.label:<24} {row.text:>8}")
    for note in (*prediction.notes, *[scale_note] * bool(scale_note)):
        print(f"  {note}")
    for name, made in (prediction.gene_sets.maps if prediction.gene_sets else {}).items():
        print(f"  {name}: {made.without_colours}")
    print(f"  {', '.join(file.name for file in files)} in {files[0].parent}")


@contextlib.contextmanager
def interruptible() -> Iterator[CancelFlag]:
    """Turn the first Ctrl+C into a request to stop that keeps what was done."""
    cancel = CancelFlag()
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def must_be_writable(folder: Path) -> None:
    """Make a folder for results, or say at once that nothing can be written there.

    Raises
    ------
    OutputError
        When it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".pathlupi-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"nothing can be written to {folder} ({error.strerror}): choose another folder.") from error
