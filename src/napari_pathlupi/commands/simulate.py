"""``pathlupi simulate``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_settings, interruptible, must_be_writable, settings, show
from napari_pathlupi.simulation.config import SimulationConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the cohort")
    add_settings(parser, SimulationConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.molecular.gene_sets import hallmark
    from napari_pathlupi.simulation.cohort import simulate_steps

    must_be_writable(chosen.out)
    with interruptible() as cancel:
        steps = simulate_steps(chosen.out, settings(SimulationConfig, chosen), hallmark(), cancel)
        folder = show(steps, "Simulated cohort")
    print(f"{folder}: slides, transcriptomes and their planted truth. Nothing in it comes from a patient.")


COMMAND = Command("make slides and transcriptomes with a planted truth", _arguments, _run)
