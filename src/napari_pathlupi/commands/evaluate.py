"""``pathlupi evaluate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.commands._command import Command, add_settings, must_be_writable, settings
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.evaluation.scoring import ScoreConfig
from napari_pathlupi.workflows.training.prediction_table import Truth

if TYPE_CHECKING:
    from napari_pathlupi.evaluation.report import Evaluation


def _arguments(parser: argparse.ArgumentParser) -> None:
    words = "CSV with case_id and prob_<class>…, value_<name>… or risk, or the folder of a training run"
    parser.add_argument("predictions", metavar="PREDICTIONS", help=words)
    parser.add_argument("cohort", metavar="COHORT", nargs="?", default="", help="table with the labels of the cases")
    parser.add_argument("-o", "--out", type=Path, default=Path("evaluation"), help="folder for report and tables")
    parser.add_argument("--against", default="", help="another such table or run, on the same cases")
    add_settings(parser, Truth)
    add_settings(parser, ScoreConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.evaluate import evaluate, write_evaluation

    must_be_writable(chosen.out)
    how = settings(Truth, chosen), settings(ScoreConfig, chosen)
    found = evaluate(chosen.predictions, chosen.cohort, *how, chosen.against)
    _tell(found)
    files = write_evaluation(found, chosen.out)
    print(f"{', '.join(file.name for file in files)} in {chosen.out}")
    print(RESEARCH_USE_ONLY)


def _tell(found: "Evaluation") -> None:
    for note in found.notes:
        print(note)
    print(found.protocol)
    for score in found.scores[-2:]:
        print(f"{score.part}, {score.cases} cases")
        for name, figure in score.figures.items():
            print(f"  {name:<28} {figure}")
    if found.comparison is not None:
        print(f"against {found.against}, {found.comparison.cases} cases")
        for name, gap in found.comparison.differences.items():
            print(f"  {name:<28} {gap.gap.value:+.3f} ({gap.gap.low:+.3f} to {gap.gap.high:+.3f}), p {gap.p:.3g}")
        for name, test in found.comparison.delong.items():
            print(f"  AUROC of {name + ', DeLong':<19} {test.first - test.second:+.3f}, p {test.p:.3g}")


COMMAND = Command("evaluate predictions: figures with intervals, comparison, report", _arguments, _run)
