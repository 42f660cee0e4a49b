"""A model of survival on a slide, as far as the files."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from napari_pathlupi.core.outlook import SurvivalCurve
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.prediction.predict import predict
from napari_pathlupi.workflows.save import save_prediction
from quick_model import save_survival_model


def test_a_survival_answer_goes_into_every_file(tissue_slide: Slide, tmp_path: Path) -> None:
    prediction = predict(tissue_slide, save_survival_model(tmp_path / "model"))
    answer = prediction.answer
    assert isinstance(answer, SurvivalCurve)
    assert re.fullmatch(r"Survival \d+ % at \d+ months", prediction.words)
    assert answer.times[-1] == 21
    files = {file.name.partition(".")[2]: file for file in save_prediction(prediction, tissue_slide.frame, tmp_path)}
    told = json.loads(files["json"].read_text(encoding="utf-8"))["answer"]
    assert [point["survival"] for point in told["curve"]] == pytest.approx(list(answer.survival))
    assert told["median"].startswith("median ")
    page = files["html"].read_text(encoding="utf-8")
    assert "Overall survival: median" in page
    assert page.count("months</span>") >= len(answer.times)
    tiles = pd.read_csv(files["csv"])
    assert sum(name.startswith("evidence_hazard") for name in tiles) == len(answer.times)
