"""``pathlupi finetune``."""

import argparse

from napari_pathlupi.commands._command import Command, add_config_options
from napari_pathlupi.commands.train import train_and_tell


def _arguments(parser: argparse.ArgumentParser) -> None:
    words = "a study, as `pathlupi init train` writes it: cohort, features, task, folds; its model is not used"
    add_config_options(parser, words, "training.epochs=10")
    parser.add_argument("--task", default="", help="a named task, such as brca-pam50: its columns, classes and words")
    start = "where it begins: the folder of a pre-training, or a safetensors file of weights; else anew"
    parser.add_argument("--start", default="", metavar="WEIGHTS", help=start)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.finetune import fine_tuned
    from napari_pathlupi.workflows.training.study_file import read_study

    config = fine_tuned(read_study(chosen.config, chosen.changes, chosen.task), chosen.start)
    train_and_tell(config, "Fine-tuning")


COMMAND = Command("fine-tune a slide encoder on a task, with Threads' published settings", _arguments, _run)
