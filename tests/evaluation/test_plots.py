"""What the pictures of an evaluation are drawn from, beside scikit-learn's own curves."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from napari_pathlupi.evaluation.plots import _draw_precision, _draw_reliability, plots
from napari_pathlupi.evaluation.predicted import Labelled

RNG = np.random.default_rng(2)
HELD = RNG.random(80) < 0.3
CHANCES = np.clip(0.4 * HELD + 0.6 * RNG.random(80), 0, 1)


def test_the_area_under_the_drawn_steps_is_the_average_precision():
    axes = Figure().add_subplot()
    _draw_precision(axes, [("MSI", HELD, CHANCES)], ["#000000"])
    recall, precision = axes.lines[-1].get_data()
    drawn = float((np.diff(recall) * precision[1:]).sum())
    assert drawn == pytest.approx(average_precision_score(HELD, CHANCES))
    assert recall[0] == 0 and recall[-1] == 1
    assert f"{HELD.mean():.2f}" in axes.lines[-1].get_label()


def test_the_bars_of_the_calibration_are_wilsons_intervals():
    axes = Figure().add_subplot()
    sure = np.full(40, 0.75)
    _draw_reliability(axes, [("", np.arange(40) < 28, sure)], ["#000000"], 0.5)
    (low, high) = axes.collections[0].get_segments()[0][:, 1]
    z, n, p = norm.ppf(0.975), 40, 28 / 40
    middle, half = p + z**2 / 2 / n, z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)
    assert (low, high) == pytest.approx(((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)))


def test_a_label_that_nobody_has_is_not_drawn_and_breaks_nothing():
    truth = np.stack([HELD, np.zeros(80)], axis=1).astype(float)
    truth[:5, 0] = np.nan
    told = Labelled(("TP53", "absent"), truth, np.stack([CHANCES, CHANCES], axis=1))
    assert [title for title, _, _ in plots(told, ["#000000"])] == ["ROC", "Precision and recall", "Calibration"]
