"""``pathlupi score``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, must_be_writable, show
from napari_pathlupi.commands._features import add_stated_options, stated_by
from napari_pathlupi.core.results import RESEARCH_USE_ONLY


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cohort", metavar="COHORT", help="table with a row per case or slide; no label is needed")
    parser.add_argument("features", metavar="FEATURES", help="folder of features, a file per slide, or a store")
    parser.add_argument("--model", required=True, help="name of a model, or its folder")
    parser.add_argument("-o", "--out", type=Path, required=True, help="predictions.csv: a row per case and fold")
    words = "slides of a case as one bag (union), or the mean of what is said of each; else as the model was trained"
    parser.add_argument("--several", choices=("union", "mean"), default="", help=words)
    add_stated_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.prediction.classify_tiles import load_model
    from napari_pathlupi.workflows.training.score_cohort import ScoreCohortConfig, score_cohort_steps
    from napari_pathlupi.workflows.training.study_tables import write_table

    must_be_writable(chosen.out.parent)
    config = ScoreCohortConfig(chosen.several)
    steps = score_cohort_steps(load_model(chosen.model), chosen.cohort, chosen.features, config, stated_by(chosen))
    table = show(steps, "Cohort")
    write_table(chosen.out, table)
    cases, folds = table["case_id"].nunique(), table["fold"].nunique()
    print(f"{chosen.out}: {cases} cases by {folds} {'folds' if folds > 1 else 'model'}.")
    print(
        f"Next: pathlupi evaluate {chosen.out} {chosen.cohort}, with what says the truth: --column, or --time, --event."
    )
    print(RESEARCH_USE_ONLY)


COMMAND = Command("score a cohort from its features with every fold of a model", _arguments, _run)
