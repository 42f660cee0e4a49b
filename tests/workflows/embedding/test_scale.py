from pathlib import Path

import imagecodecs
import pytest

from addressed import addresses
from napari_pathlupi.errors import SettingsError, SlideError
from napari_pathlupi.workflows.embedding.scale import config_folder, open_at_scale, remember_mpp, remembered_mpp


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATHLUPI_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "patient name.png"
    path.write_bytes(imagecodecs.png_encode(addresses((300, 400))))
    return path


def test_what_was_stated_is_remembered_for_the_same_content_under_any_name(bare: Path, tmp_path: Path) -> None:
    open_at_scale(bare, 0.2465)
    copy = tmp_path / "copy.png"
    copy.write_bytes(bare.read_bytes())
    slide, note = open_at_scale(copy)
    assert (slide.mpp.y, slide.mpp.x, slide.mpp.source, note) == (0.2465, 0.2465, "stated by the user, remembered", "")


def test_nothing_that_names_a_patient_is_kept(bare: Path, config: Path) -> None:
    open_at_scale(bare, 0.25)
    assert [file.name for file in config.iterdir()] == ["stated-scales.json"]
    assert "patient" not in (config / "stated-scales.json").read_text()


def test_what_the_file_says_is_not_replaced_by_what_is_remembered_and_that_is_told(addressed_slide: Path) -> None:
    stated, _ = open_at_scale(addressed_slide, 0.5)
    assert stated.mpp.y == 0.5
    slide, note = open_at_scale(addressed_slide)
    assert (slide.mpp.y, slide.mpp.source) == (0.25, "Aperio header")
    assert "earlier you stated 0.5" in note


def test_another_slide_and_a_wrong_number_change_nothing(bare: Path, addressed_slide: Path) -> None:
    with pytest.raises(SlideError, match="is not the scale of a slide"):
        open_at_scale(bare, -1)
    open_at_scale(addressed_slide, 0.25)
    slide, note = open_at_scale(bare)
    assert slide.frame.mpp is None
    assert open_at_scale(addressed_slide)[1] == note == ""


@pytest.mark.parametrize("kept", ["{", "[]", '{"mpp": {"a": "b"}}', '{"mpp": {"a": -1}}'])
def test_a_damaged_memory_is_told_and_never_wiped(kept: str, config: Path) -> None:
    config.mkdir()
    (config / "stated-scales.json").write_text(kept)
    with pytest.raises(SettingsError, match="mend or delete it"):
        remembered_mpp("a")
    with pytest.raises(SettingsError, match="mend or delete it"):
        remember_mpp("a", 0.5)
    assert (config / "stated-scales.json").read_text() == kept


def test_a_folder_that_cannot_be_made_does_not_stop_the_work(bare: Path, config: Path) -> None:
    config.write_text("a file where the folder should be")
    slide, note = open_at_scale(bare, 0.5)
    assert slide.mpp.y == 0.5
    assert "cannot be remembered" in note


def test_without_a_wish_the_folder_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATHLUPI_CONFIG")
    assert config_folder().name == "napari-pathlupi"
