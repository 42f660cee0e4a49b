"""``pathlupi finetune``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, interruptible, show
from napari_pathlupi.core.results import RESEARCH_USE_ONLY


def _arguments(parser: argparse.ArgumentParser) -> None:
    words = "a study, as `pathlupi init train` writes it: cohort, features, task, folds; its model is not used"
    parser.add_argument("config", type=Path, metavar="CONFIG", help=words)
    start = "where it begins: the folder of a pre-training, or a safetensors file of weights; else anew"
    parser.add_argument("--start", default="", metavar="WEIGHTS", help=start)
    parser.add_argument("--task", default="", help="a named task, such as brca-pam50: its columns, classes and words")
    change = "change a setting, as training.epochs=10; may be given often"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE", help=change)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.parallel import rank
    from napari_pathlupi.workflows.training.finetune import fine_tuned
    from napari_pathlupi.workflows.training.study import PREDICTIONS, told, train_study_steps
    from napari_pathlupi.workflows.training.study_file import read_study

    config = fine_tuned(read_study(chosen.config, chosen.changes, chosen.task), chosen.start)
    with interruptible() as cancel:
        folder = show(train_study_steps(config, cancel), "Fine-tuning")
    if rank():
        return
    print(told(folder))
    print(f"{folder}: {PREDICTIONS}, curves, log and the model in {folder / 'model'}.")
    print(f"Next: pathlupi evaluate {folder}, or pathlupi predict SLIDE --model {folder / 'model'} -o RESULTS.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("fine-tune a slide encoder on a task, with Threads' published settings", _arguments, _run)
