"""The folder of a run belongs to one study."""

from pathlib import Path

import pandas as pd
import pytest

from napari_pathlupi.errors import OutputError
from napari_pathlupi.workflows.training.study import train_study, train_study_steps
from napari_pathlupi.workflows.training.study_file import read_study
from quick_study import write_study


def test_a_run_that_was_begun_with_other_cases_is_not_gone_on_with(tmp_path: Path) -> None:
    config = read_study(write_study(tmp_path))
    for progress in train_study_steps(config):
        if progress.stage.startswith("Fold") and progress.done > 25:
            break
    table = pd.read_csv(tmp_path / "cohort.csv")
    table.loc[:1, "label"] = ["B", "A"]
    table.to_csv(tmp_path / "cohort.csv", index=False)
    before = (tmp_path / "run/cohort.csv").read_bytes()
    with pytest.raises(OutputError, match=r"the cases have changed since .*run was begun"):
        train_study(config)
    assert (tmp_path / "run/cohort.csv").read_bytes() == before
