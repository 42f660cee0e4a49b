"""``pathlupi train-demo``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, interruptible, must_be_writable, show


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the model, new")
    parser.add_argument("--work", type=Path, default=Path("demo-cohort"), help="folder for the simulated cohort")


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.demo_model import train_demo_steps

    must_be_writable(chosen.work)
    with interruptible() as cancel:
        folder = show(train_demo_steps(chosen.out, chosen.work, cancel), "Demo model")
    print(f"{folder}: the demo model. Its card says what it was trained on.")


COMMAND = Command("make the demo model again, from nothing", _arguments, _run)
