"""What every entry of the export catalogue keeps."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handmade import FRAME, a_prediction
from napari_pathlupi.catalogue import exports
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._export import Export

pytestmark = pytest.mark.parametrize("name", list(exports))


def test_it_declares_a_title_and_an_ending(name: str) -> None:
    export = exports[name]
    assert isinstance(export, Export)
    assert export.title
    assert export.suffix.startswith(".")


@pytest.mark.parametrize("make", [a_prediction, lambda: a_prediction(np.ones((3, 2))), lambda: a_prediction([[1.0]])])
def test_it_writes_one_file_and_leaves_nothing_else(name: str, make: Callable, tmp_path: Path) -> None:
    exports[name].write(tmp_path / "result", make(), FRAME)
    assert [file.name for file in tmp_path.iterdir()] == ["result"]
    assert (tmp_path / "result").stat().st_size > 0


def test_it_writes_over_an_older_result(name: str, tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("old")
    exports[name].write(path, a_prediction(), FRAME)
    assert path.read_bytes() != b"old"


def test_it_keeps_the_older_result_when_writing_fails(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "result"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        exports[name].write(path, a_prediction(), FRAME)
    assert [file.name for file in tmp_path.iterdir()] == ["result"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("place", ["missing/result", "file/result", "folder"])
def test_it_says_in_one_sentence_where_it_cannot_write(name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=r"^cannot write .*: choose a folder that exists and may be written\.$"):
        exports[name].write(tmp_path / place, a_prediction(), FRAME)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_it_says_that_a_folder_is_read_only(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            exports[name].write(tmp_path / "result", a_prediction(), FRAME)
    finally:
        tmp_path.chmod(0o700)
