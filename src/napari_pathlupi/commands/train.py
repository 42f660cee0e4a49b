"""``pathlupi train``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.commands._command import Command, add_config_options, interruptible, show
from napari_pathlupi.core.results import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from napari_pathlupi.workflows.training.study_config import StudyConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config_options(parser, "a file that `pathlupi init train` wrote", "training.steps=500")
    parser.add_argument("--task", default="", help="a named task, such as brca-pam50: its columns, classes and words")


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.study_file import read_study

    train_and_tell(read_study(chosen.config, chosen.changes, chosen.task), "Study")


def train_and_tell(config: "StudyConfig", title: str) -> None:
    """Train a study behind a progress bar and print what came of it."""
    from napari_pathlupi.bundle import CARD, load_bundle
    from napari_pathlupi.catalogue import patch_encoders
    from napari_pathlupi.workflows.parallel import rank
    from napari_pathlupi.workflows.training.study import MODEL, PREDICTIONS, told, train_study_steps

    finished = Path(config.run.out, MODEL, CARD).is_file()
    with interruptible() as cancel:
        folder = show(train_study_steps(config, cancel), title)
    if rank():
        return
    if finished:
        print(f"{folder} was finished before, nothing was trained: where a table has changed, give another run.out.")
    model = folder / MODEL
    print(told(folder))
    print(f"{folder}: {PREDICTIONS}, curves, log and the model in {model}.")
    slide = "SLIDE" if load_bundle(model).card.patch_encoder.name in patch_encoders else "--features FILE"
    print(f"Next: pathlupi evaluate {folder}, or pathlupi predict {slide} --model {model} -o RESULTS.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("train a model in all folds of a study, from a file of settings", _arguments, _run)
