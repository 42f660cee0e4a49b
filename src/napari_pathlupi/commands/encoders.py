"""``pathlupi encoders list|show|get|use|check``."""

import argparse
from pathlib import Path

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.commands._command import Command, add_verbs, do_verb, interruptible, show

WIDE = 120
"""Characters of a line where no terminal says how many fit."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(
        parser,
        {
            "list": ("list them: state, size of tile and vector, licence (the default)", _list),
            "show": ("say all that is known of one: its card, its state, what to do next", _show),
            "get": ("download the weights of one from the Hugging Face Hub, after asking", _get),
            "use": ("keep where the weights of one are on this machine", _use),
            "check": ("print what one makes of a built-in tile, to compare with another machine or program", _check),
        },
    )
    for verb in ("show", "get", "use", "check"):
        verbs[verb].add_argument("name", help="as `pathlupi encoders list` names it, or as TRIDENT does")
    verbs["use"].add_argument("weights", type=Path, help="file or folder")
    verbs["get"].add_argument("--yes", action="store_true", help="do not ask: licence accepted, download wanted")
    verbs["check"].add_argument("--weights", type=Path, help="file or folder, where it is not one that is known")
    verbs["check"].add_argument("--device", default="auto", help="auto, cuda, mps or cpu (default auto)")


def _list(_: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "tile", "µm/px", "vector", "licence", box=None, pad_edge=False)
    for name, entry in patch_encoders.items():
        state = entry.readiness().state.value
        table.add_row(name, state, f"{entry.tile_px} px", f"{entry.mpp:g}", str(entry.dim), entry.licence)
    console = Console()
    console.print(table, width=None if console.is_terminal else WIDE)
    print("pathlupi encoders show NAME says more, and what to do next.")


def _show(chosen: argparse.Namespace) -> None:
    entry = patch_encoders[chosen.name]
    readiness = entry.readiness()
    for label, words in {**entry.card(), "state": f"{readiness.state.value}. {readiness.words}"}.items():
        print(f"{label:<12} {words}")


def _get(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.errors import Cancelled
    from napari_pathlupi.patch_encoders._encoder import State
    from napari_pathlupi.workflows.embedding.encoders import accept_licence, get_steps, with_weights

    entry = with_weights(chosen.name)
    if entry.readiness().state is State.NEEDS_LICENCE:
        question = f"The licence of {entry.title} is {entry.licence}. Have you accepted it at {entry.weights.address}?"
        if not (chosen.yes or _says_yes(question)):
            raise Cancelled(f"accept the licence at {entry.weights.address} first.")
        accept_licence(entry.name)
    if entry.readiness().state is State.NEEDS_DOWNLOAD:
        question = f"Download {entry.weights.size or 'a file of unknown size'} from {entry.weights.address}?"
        if not (chosen.yes or _says_yes(question)):
            raise Cancelled("nothing was downloaded.")
    with interruptible() as cancel:
        print(show(get_steps(entry.name, cancel), entry.name))


def _says_yes(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # nobody there to ask
        return False


def _use(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.embedding.encoders import keep_weights

    file = keep_weights(chosen.name, chosen.weights)
    print(f"{chosen.name}: {file}. Try it with: pathlupi encoders check {chosen.name}")


def _check(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.embedding.encoders import check

    checked = check(chosen.name, chosen.device, chosen.weights)
    norm = float((checked.vector.astype(float) ** 2).sum() ** 0.5)
    print(f"encoder   {checked.identity}")
    print(f"device    {checked.device}, {checked.precision}")
    print(f"tile      built in, sha256 {checked.tile_digest[:16]}")
    print(f"first     {' '.join(f'{value:.4f}' for value in checked.vector[:8])}")
    print(f"norm      {norm:.5g}")
    print(f"digest    {checked.vector_digest[:16]} (of three decimals; equal on like machines)")


COMMAND = Command("list the patch encoders, say what they need, get their weights, try them", _arguments, do_verb)
