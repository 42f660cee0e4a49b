"""``pathlupi evaluate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.commands._command import Command, add_settings, must_be_writable, settings
from napari_pathlupi.core.claims import summary
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
    parser.add_argument("--against", default="", metavar="OTHER", help="another such table or run, on the same cases")
    clinical = "of a survival: columns of COHORT, whose Cox model on the same folds the predictions are compared with"
    parser.add_argument("--clinical", nargs="+", default=(), metavar="COLUMN", help=clinical)
    add_settings(parser, Truth)
    add_settings(parser, ScoreConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.evaluate import evaluate, write_evaluation

    must_be_writable(chosen.out)
    how = settings(Truth, chosen), settings(ScoreConfig, chosen)
    found = evaluate(chosen.predictions, chosen.cohort, *how, chosen.against, chosen.clinical)
    _tell(found)
    for file in write_evaluation(found, chosen.out):
        print(file)
    print(RESEARCH_USE_ONLY)


def _tell(found: "Evaluation") -> None:
    print("\n".join([*found.notes, found.protocol]))
    compared = found.comparison
    rows = [(f"{score.part}, {score.cases} cases", score.figures) for score in found.scores[-2:]]
    gaps = {} if compared is None else compared.differences
    tests = {} if compared is None else {f"AUROC of {name}, DeLong": test for name, test in compared.delong.items()}
    width = max(map(len, [*found.scores[-1].figures, *gaps, *tests]))
    for title, figures in rows:
        print(title)
        for name, figure in figures.items():
            print(f"  {name:<{width}}  {figure}")
    if found.claims:
        print(summary(found.claims))
    if compared is None:
        return
    print(f"against {found.against}, {compared.cases} cases: this, other, difference")
    for name, one in gaps.items():
        ends = f"({one.gap.low:+.3f} to {one.gap.high:+.3f})"
        print(f"  {name:<{width}}  {one.first:.3f}  {one.second:.3f}  {one.gap.value:+.3f} {ends}  p {one.p:.3f}")
    for name, test in tests.items():
        ends = f"({test.interval[0]:+.3f} to {test.interval[1]:+.3f})"
        gap = f"{test.first - test.second:+.3f} {ends}"
        print(f"  {name:<{width}}  {test.first:.3f}  {test.second:.3f}  {gap}  p {test.p:.3f}")


COMMAND = Command("evaluate predictions: figures with intervals, comparison, report", _arguments, _run)
