"""``pathlupi train``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, interruptible, show
from napari_pathlupi.core.results import RESEARCH_USE_ONLY


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a file that `pathlupi init train` wrote")
    parser.add_argument("--task", default="", help="a named task, such as brca-pam50: its columns, classes and words")
    words = "change a setting, as training.steps=500; may be given often"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE", help=words)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.parallel import rank
    from napari_pathlupi.workflows.training.study import PREDICTIONS, told, train_study_steps
    from napari_pathlupi.workflows.training.study_file import read_study

    config = read_study(chosen.config, chosen.changes, chosen.task)
    with interruptible() as cancel:
        folder = show(train_study_steps(config, cancel), "Study")
    if rank():
        return
    print(told(folder))
    print(f"{folder}: {PREDICTIONS}, curves, log and the model in {folder / 'model'}.")
    print(f"Next: pathlupi evaluate {folder}, or pathlupi predict SLIDE --model {folder / 'model'} -o RESULTS.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("train a model in all folds of a study, from a file of settings", _arguments, _run)
