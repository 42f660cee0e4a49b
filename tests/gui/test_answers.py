"""What the panel shows of answers that are no class."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from qtpy.QtWidgets import QLabel

from handmade import FRAME, a_prediction
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.runs import Run
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.tasks.regression import Regression
from napari_pathlupi.tasks.survival import Survival
from napari_pathlupi.widgets._answer import AnswerView
from quick_model import save_survival_model

pytestmark = pytest.mark.gui
TOLD = Calibration(240, 1.0, 0.9, (0.75,), (-4.0, -2.0, 0.0))


@pytest.fixture
def view(qtbot: Any) -> AnswerView:
    made = AnswerView()
    qtbot.addWidget(made)
    made.resize(330, 300)
    made.show()
    return made


def words(view: AnswerView) -> str:
    return " | ".join(label.text() for label in view.findChildren(QLabel))


def test_survival_is_shown_as_a_risk_a_median_and_a_curve_in_whole_per_cent(view: AnswerView) -> None:
    answer = Survival(times=[12, 30.2, 60, 120]).answer(torch.tensor([-2.0, -1.0, -0.5, 0.0]), TOLD)
    view.show_prediction(replace(a_prediction(), answer=answer))
    assert view.headline.text() == "Risk"
    assert view.certainty.text() == "above 47 % of 240 cases"
    assert view.told.text() == "Overall survival: median between 30 and 60 months."
    assert all(f"at {time} months" in words(view) for time in (12, 30, 60, 120))
    assert "88 %" in words(view) and "88." not in words(view)


def test_doubt_is_said_in_words_below_the_headline_and_not_of_an_unlike_slide(view: AnswerView) -> None:
    answer = Classification(["A", "B", "C"]).answer(torch.tensor([1.0, 0.8, -4.0]), TOLD)
    view.show_prediction(replace(a_prediction(), answer=answer))
    assert view.told.text() == "Not sure: A or B (90 % set)."
    assert Run("1", FRAME, "whole tissue", replace(a_prediction(), answer=answer)).answer.startswith(
        "A 55 % (not sure)"
    )
    view.show_prediction(replace(a_prediction(supported=False), answer=answer))
    assert not view.told.isVisible()


def test_a_value_has_its_unit_and_interval(view: AnswerView) -> None:
    answer = Regression(["Purity"], "%", [50], [10], [0], [100]).answer(torch.tensor([1.0]), TOLD)
    view.show_prediction(replace(a_prediction(), answer=answer))
    assert (view.headline.text(), view.certainty.text()) == ("Purity", "60 %")
    assert view.told.text().startswith("90 % interval: 59.2 to 60.8 %")


def test_a_survival_model_is_predicted_with_in_the_panel(window: Any, small_slide: Path, tmp_path: Path) -> None:
    save_survival_model(tmp_path / "survival")
    window.panel.add_model(tmp_path / "survival")
    window.ready(small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: bool(window.panel.session.runs))
    window.until(lambda: "attention" in window.kinds())
    assert window.panel.answer.headline.text() == "Survival"
    assert "months" in window.panel.answer.certainty.text()
    assert "subtypes" not in window.kinds()
