"""The command line: ``pathlupi info|predict|convert|simulate|demo|train-demo``.

Exit code 0 when done, 2 with one sentence when something cannot be done, 130 when interrupted before anything was kept.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.errors import Cancelled, OutputError, PathlupiError, TableError

if TYPE_CHECKING:
    from napari_pathlupi.slides import Slide

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch threads sleep between batches instead of spinning
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds wrong comes as one sentence of ours
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.run is None:
        parser.print_help()
        return 2
    try:
        chosen.run(chosen)
    except Cancelled as error:
        print(f"pathlupi: {error}", file=sys.stderr)
        return 130
    except PathlupiError as error:
        print(f"pathlupi: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    from napari_pathlupi import __version__
    from napari_pathlupi.simulation.config import SimulationConfig

    parser = argparse.ArgumentParser(prog="pathlupi", description=f"Whole-slide image analysis. {RESEARCH_USE_ONLY}")
    parser.add_argument("--version", action="version", version=f"pathlupi {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    _add_commands_on_slides(commands)

    simulate = _command(commands, "simulate", _simulate, "make slides and transcriptomes with a planted truth")
    simulate.add_argument("-o", "--out", type=Path, required=True, help="folder for the cohort")
    _add_settings(simulate, SimulationConfig)

    demo = _command(commands, "demo", _demo, "make the demo slide, predict, write the results, open napari on them")
    demo.add_argument("-o", "--out", type=Path, default=Path("demo"), help="folder for slide and results")
    demo.add_argument("--no-window", action="store_true", help="do not open napari")

    build = _command(commands, "train-demo", _train_demo, "make the demo model again, from nothing")
    build.add_argument("-o", "--out", type=Path, required=True, help="folder for the model, new")
    build.add_argument("--work", type=Path, default=Path("demo-cohort"), help="folder for the simulated cohort")
    return parser


def _add_commands_on_slides(commands: Any) -> None:
    from napari_pathlupi.workflows.predict import PredictConfig

    info = _command(commands, "info", _info, "say what a slide is: size, scale and its source, levels")
    info.add_argument("slide")
    _add_slide_options(info)

    predict = _command(commands, "predict", _predict, "predict on slides and write answer, map, tiles, regions, report")
    predict.add_argument("slides", nargs="+", metavar="SLIDE")
    predict.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    predict.add_argument("--model", default="demo", help="name of a model, or a folder that holds one")
    predict.add_argument("--regions", type=Path, help="GeoJSON from QuPath or napari: predict inside it only")
    _add_slide_options(predict)
    _add_settings(predict, PredictConfig)

    convert = _command(commands, "convert", _convert, "write any slide as a pyramid that opens quickly everywhere")
    convert.add_argument("slide")
    convert.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.tif", help="the file to write, new")
    convert.add_argument("--lossless", action="store_true", help="every pixel as it was, several times as large")
    convert.add_argument("--quality", type=int, default=90, help="of the JPEG, 1 to 100 (default 90)")
    _add_slide_options(convert)


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], words: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}."
    )
    parser.set_defaults(run=run)
    return parser


def _add_slide_options(parser: argparse.ArgumentParser) -> None:
    from napari_pathlupi.slides._choice import AS_STORED, COLOURS

    mpp_words = "µm per pixel, where the file does not say; remembered for the same content"
    parser.add_argument("--mpp", type=float, help=mpp_words)
    for name in ("plane", "scene"):
        parser.add_argument(f"--{name}", type=int, default=0, help="which, as `pathlupi info` numbers them (default 0)")
    colour_words = "srgb: through the colour profile (ICC) in the file"
    parser.add_argument("--colour", choices=COLOURS, default=AS_STORED, help=colour_words)


def _opened(place: str, chosen: argparse.Namespace) -> tuple["Slide", str]:
    """What `open_at_scale` returns for the flags of a command."""
    from napari_pathlupi.slides._choice import Choice
    from napari_pathlupi.workflows.scale import open_at_scale

    return open_at_scale(place, chosen.mpp, Choice(chosen.plane, chosen.scene, chosen.colour))


def _add_settings(parser: argparse.ArgumentParser, config: type) -> None:
    texts = field_texts(config)
    for field in fields(config):
        default = field.default
        count = len(default) if isinstance(default, tuple) else None
        kind = get_args(field.type)[0] if count else field.type
        flag = f"--{field.name.replace('_', '-')}"
        words = f"{texts[field.name]} (default {default})".replace("%", "%%")
        parser.add_argument(flag, type=kind, nargs=count, default=default, help=words)


def _settings(config: type[Result], chosen: argparse.Namespace) -> Result:
    values = {f.name: getattr(chosen, f.name) for f in fields(config)}  # type: ignore[arg-type]
    return config(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _show(steps: Steps[Result], title: str) -> Result:
    """Drive long work behind a progress bar."""
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


@contextlib.contextmanager
def _interruptible() -> Iterator[CancelFlag]:
    """Turn the first Ctrl+C into a request to stop that keeps what was done."""
    cancel = CancelFlag()
    before = signal.signal(signal.SIGINT, lambda *_: cancel.set())
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def _info(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.describe import lines_about

    slide, note = _opened(chosen.slide, chosen)
    with slide:
        for line in (*lines_about(slide), *[note] * bool(note)):
            print(line)


def _predict(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.bundle import load_bundle
    from napari_pathlupi.workflows.predict import PredictConfig

    must_be_writable(chosen.out)
    bundle, config = load_bundle(chosen.model), _settings(PredictConfig, chosen)
    with _interruptible() as cancel:
        for place in chosen.slides:
            _predict_one(place, bundle, config, chosen, cancel)
            if cancel:
                break
    print(RESEARCH_USE_ONLY)


def _predict_one(place: str, bundle: Any, config: Any, chosen: argparse.Namespace, cancel: CancelFlag) -> None:
    from napari_pathlupi.export.geojson import read_regions
    from napari_pathlupi.workflows.predict import predict_steps
    from napari_pathlupi.workflows.save import save_prediction

    slide, scale_note = _opened(place, chosen)
    with slide:
        regions = _areas(read_regions(chosen.regions, slide.frame), chosen.regions) if chosen.regions else []
        prediction = _show(predict_steps(slide, bundle, config, regions, cancel), slide.path.name)
        files = save_prediction(prediction, slide.frame, chosen.out)
    print(f"{slide.path.name}: {prediction.words}")
    if not prediction.reference.supported:
        print(f"  {prediction.reference}")
    for row in prediction.answer.rows():
        print(f"  {row.label:<24} {row.text:>8}")
    for note in (*prediction.notes, *[scale_note] * bool(scale_note)):
        print(f"  {note}")
    print(f"  {', '.join(file.name for file in files)} in {chosen.out}")


def _areas(regions: Sequence[Any], file: Path) -> list[Any]:
    areas = [region.geometry for region in regions if region.geometry.area > 0]
    if not areas:
        raise TableError(f"{file.name} holds no area to predict in ({len(regions)} points or lines): outline one.")
    return areas


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


def _convert(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.convert import LEFT_OUT, convert_steps
    from napari_pathlupi.workflows.describe import missing_words

    slide, note = _opened(chosen.slide, chosen)
    with slide, _interruptible() as cancel:
        steps = convert_steps(slide, chosen.out, chosen.lossless, chosen.quality, cancel)
        path = _show(steps, slide.path.name)
        mpp, missing = slide.frame.mpp, slide.missing_tiles
    scale = f"{mpp.y:.6g} × {mpp.x:.6g} µm/px" if mpp else "µm per pixel unknown, as before"
    print(f"{path}: {scale}, {path.stat().st_size / 1e6:,.1f} MB. {LEFT_OUT}")
    for words in (missing_words(missing), note):
        if words:
            print(f"  {words}")


def _simulate(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.molecular.gene_sets import hallmark
    from napari_pathlupi.simulation.cohort import simulate_steps
    from napari_pathlupi.simulation.config import SimulationConfig

    must_be_writable(chosen.out)
    with _interruptible() as cancel:
        steps = simulate_steps(chosen.out, _settings(SimulationConfig, chosen), hallmark(), cancel)
        folder = _show(steps, "Simulated cohort")
    print(f"{folder}: slides, transcriptomes and their planted truth. Nothing in it comes from a patient.")


def _demo(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.demo import demo_slide_steps

    must_be_writable(chosen.out)
    path = _show(demo_slide_steps(chosen.out), "Demo slide")
    _predict(_parser().parse_args(["predict", str(path), "-o", str(chosen.out)]))
    if not chosen.no_window and _has_display():
        _open_window(path)


def _has_display() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_window(path: Path) -> None:
    import subprocess

    command = [sys.executable, "-m", "napari_pathlupi.widgets.demo_window", str(path)]
    subprocess.run(command, check=False)


def _train_demo(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.demo import train_demo_steps

    must_be_writable(chosen.work)
    with _interruptible() as cancel:
        folder = _show(train_demo_steps(chosen.out, chosen.work, cancel), "Demo model")
    print(f"{folder}: the demo model. Its card says what it was trained on.")


if __name__ == "__main__":
    sys.exit(main())
