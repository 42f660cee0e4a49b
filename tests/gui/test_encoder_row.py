"""What the model's patch encoder still needs is shown where the model is chosen, and brought by clicks."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from napari_pathlupi.core.progress import Progress
from napari_pathlupi.errors import WeightsError
from napari_pathlupi.widgets._encoder import EncoderRow

pytestmark = pytest.mark.gui


@pytest.fixture
def row(qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EncoderRow:
    monkeypatch.delenv("PATHLUPI_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    made = EncoderRow()
    qtbot.addWidget(made)
    return made


def clicks(row: EncoderRow) -> list[str]:
    return [hint.text for hint in row.hints._shown]


@pytest.mark.parametrize("name", ["stain-texture", "", "of-another-kind"])
def test_nothing_is_shown_where_nothing_is_missing(row: EncoderRow, name: str) -> None:
    assert row.show_for(name) == ""
    assert row.isHidden()


def test_a_licence_is_asked_for_then_the_download_is_offered(row: EncoderRow, qtbot: Any) -> None:
    assert "Accept its licence" in row.show_for("uni")
    assert clicks(row) == ["Open its page", "I have accepted it", "Choose a file …"]
    with qtbot.waitSignal(row.changed):
        row.hints.taken.emit("encoder:accept")
    assert "about 1.2 GB" in row.show_for("uni")
    assert clicks(row) == ["Download", "Choose a file …"]


def test_a_download_shows_where_it_is_and_says_why_it_failed(row: EncoderRow, qtbot: Any, monkeypatch: Any) -> None:
    def failing(name: str, cancel: object) -> Any:
        yield Progress("Downloading (MB)", 3, 12)
        raise WeightsError(f"the download of {name} failed: try again.")

    monkeypatch.setattr("napari_pathlupi.workflows.embedding.encoders.get_steps", failing)
    row.show_for("phikon")
    with qtbot.waitSignals([row.changed, row.changed]):
        row.hints.taken.emit("encoder:get")
        assert clicks(row) == ["Stop"]
        assert "Downloading" in row.show_for("phikon")
    assert row.show_for("phikon") == "the download of phikon failed: try again."
    assert clicks(row) == ["Download", "Choose a file …"]
    assert "needs musk" in row.show_for("musk")


def test_a_download_goes_on_while_another_model_is_looked_at(row: EncoderRow, qtbot: Any, monkeypatch: Any) -> None:
    go_on = Event()

    def slow(name: str, cancel: object) -> Any:
        yield Progress("Downloading (MB)", 3, 12)
        go_on.wait(10)
        return Path("weights")

    monkeypatch.setattr("napari_pathlupi.workflows.embedding.encoders.get_steps", slow)
    row.show_for("phikon")
    row.hints.taken.emit("encoder:get")
    words = row.show_for("phikon-v2")
    qtbot.wait(200)
    assert row.sentence.text() == words
    row.hints.taken.emit("encoder:get")
    assert "phikon is being downloaded" in row.show_for("phikon-v2")
    with qtbot.waitSignal(row.changed):
        go_on.set()
    assert row.show_for("phikon-v2") == words


def test_the_button_waits_for_the_encoder(window: Any, small_slide: Path, monkeypatch: Any) -> None:
    window.ready(small_slide)
    monkeypatch.setattr(EncoderRow, "show_for", lambda self, name: "UNI: Accept its licence first.")
    window.panel._show_models()
    assert not window.panel.predict_row.predict.isEnabled()
    assert window.panel.predict_row.sentence.text() == "UNI: Accept its licence first."
