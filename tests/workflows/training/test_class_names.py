"""Whatever a class is called comes back from the tables that a run writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.workflows.training.prediction_table import read_predictions
from napari_pathlupi.workflows.training.study_tables import predictions_of, write_table

CALIBRATED = Calibration(40, level=0.9, thresholds=(0.6,))


@pytest.mark.parametrize(
    "first", ["A, B", 'A"B', "C; D", "prob_x", "[C]", "Ä", "'=1+1", "A\u00a0B", "a\tb", "two  lines\nof it"]
)
def test_a_name_with_commas_quotes_and_the_like_comes_back(first: str, tmp_path: Path) -> None:
    classes = (" ".join(first.split()), "Other", "Third, or more")
    names, outputs = [f"P{i}" for i in range(12)], np.random.default_rng(0).normal(size=(12, 3))
    write_table(tmp_path / "predictions.csv", predictions_of(Classification(classes), names, 0, outputs, CALIBRATED))
    labels = [(first, *classes[1:])[i % 3] for i in range(12)]
    write_table(tmp_path / "cohort.csv", pd.DataFrame({"case_id": names, "label": labels}))
    told = read_predictions(tmp_path / "predictions.csv", tmp_path / "cohort.csv")[0].told
    order = [classes.index(name) for name in told.classes]
    chances = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(told.probabilities, chances[:, order])
    sets = (chances >= 0.4) | (chances == chances.max(axis=1, keepdims=True))
    np.testing.assert_array_equal(told.sets, sets[:, order])
    assert [told.classes[i] for i in told.labels] == [classes[i % 3] for i in range(12)]
