import json
from pathlib import Path

import pytest

from handmade import FRAME, a_prediction
from napari_pathlupi.export.json import EXPORT


def test_it_says_what_the_answer_is_and_where_it_comes_from(tmp_path: Path) -> None:
    prediction = a_prediction(supported=False)
    EXPORT.write(tmp_path / "a.json", prediction, FRAME)
    said = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert said["notice"] == "Research use only. Not a diagnostic device."
    assert said["answer"]["probabilities"] == {"Demo A": 0.18, "Demo <B>": 0.82}
    assert said["words"].startswith("not supported")
    assert said["partial"] is True
    assert said["notes"] == ["1 of 30 tiles could not be decoded: left out and marked."]
    assert said["tiles"] == {"asked": 30, "read": 29}
    assert said["reference_check"]["supported"] is False
    assert said["gene_set_activity"]["HALLMARK_E2F_TARGETS"] is None
    assert said["provenance"] == {
        **prediction.provenance.as_dict(),
        "slide_mpp": [0.25, 0.26],
        "settings": {"min_coverage": 0.5, "regions": []},
    }
