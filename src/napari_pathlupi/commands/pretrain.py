"""``pathlupi pretrain``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_config_options, interruptible, show
from napari_pathlupi.core.results import RESEARCH_USE_ONLY


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_config_options(parser, "a file that `pathlupi init pretrain` wrote", "training.epochs=20")


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.bundle import CARD
    from napari_pathlupi.workflows.parallel import rank
    from napari_pathlupi.workflows.pretraining.file import read_pretraining
    from napari_pathlupi.workflows.pretraining.study import ENCODER, pretrain_study_steps, told

    config = read_pretraining(chosen.config, chosen.changes)
    finished = Path(config.run.out, ENCODER, CARD).is_file()
    with interruptible() as cancel:
        folder = show(pretrain_study_steps(config, cancel), "Pre-training")
    if rank():
        return
    if finished:
        print(f"{folder} was finished before, nothing was trained: where a table has changed, give another run.out.")
    print(told(folder))
    print(f"{folder}: log and the encoder in {folder / ENCODER}.")
    print(f"Next: pathlupi encode {folder} --slides BAGS -o slides.csv, then pathlupi probe, retrieve or prompt;")
    print(f"or pathlupi finetune STUDY --start {folder}, or pathlupi head BAGS LABELS --slide-encoder {folder}.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("pre-train a slide encoder on RNA and DNA, from a file of settings", _arguments, _run)
