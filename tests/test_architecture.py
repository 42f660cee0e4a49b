"""Importing is free, looking is free, and the names agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import napari_pathlupi
from napari_pathlupi import catalogue

HEAVY = ("torch", "numpy", "qtpy", "napari", "PyQt6", "dask", "zarr", "pandas", "scipy")


def modules_after(code: str) -> set[str]:
    listing = f"import sys\n{code}\nprint('\\n'.join(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not modules_after("import napari_pathlupi").intersection(HEAVY)


def test_looking_into_every_catalogue_loads_nothing_heavy() -> None:
    code = "from napari_pathlupi import catalogue\nfor room in catalogue.rooms: list(room), 'x' in room"
    assert not modules_after(code).intersection(HEAVY)


def test_opening_a_slide_loads_no_torch_and_no_qt(addressed_slide: Path) -> None:
    code = f"import napari_pathlupi\nnapari_pathlupi.open_slide({str(addressed_slide)!r}).pyramid()"
    assert not modules_after(code).intersection({"torch", "qtpy", "napari"})


def test_public_names_are_sorted_and_there() -> None:
    assert napari_pathlupi.__all__ == sorted(napari_pathlupi.__all__)
    for name in napari_pathlupi.__all__:
        assert getattr(napari_pathlupi, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'predicted'"):
        _ = napari_pathlupi.predicted


@pytest.mark.parametrize("room", catalogue.rooms, ids=lambda room: room.package)
def test_every_file_of_a_room_defines_its_entry(room: catalogue.Room) -> None:
    assert len(room) > 0
    for name in room:
        assert room[name] is not None


def test_a_new_file_in_a_room_is_an_entry_and_a_miss_suggests_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_room"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_contract.py").touch()
    (package / "blue_stain.py").write_text("ENTRY = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    room = catalogue.Room("some_room", "ENTRY", "stain")
    assert list(room) == ["blue-stain"]
    (package / "red_stain.py").write_text("ENTRY = 43\n")
    assert list(room) == ["blue-stain", "red-stain"]
    assert room["red-stain"] == 43
    with pytest.raises(catalogue.NotFoundError, match=r"no stain is called 'blu-stain': did you mean 'blue-stain'"):
        _ = room["blu-stain"]


def test_a_file_may_hold_a_table_of_entries_with_aliases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "room_of_tables"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "alone.py").write_text("ENTRY = 42\n")
    entry = "SimpleNamespace(name='{0}-stain', aliases=('{0}_1',))"
    entries = ", ".join(entry.format(colour) for colour in ("blue", "red"))
    (package / "family.py").write_text(f"from types import SimpleNamespace\nENTRIES = ({entries})\n")
    monkeypatch.syspath_prepend(tmp_path)
    room = catalogue.Room("room_of_tables", "ENTRY", "stain", "ENTRIES")
    assert list(room) == ["alone", "blue-stain", "red-stain"]
    assert room["alone"] == 42
    assert room["red_1"] is room["red-stain"]
    assert "blue_1" in room
    with pytest.raises(catalogue.NotFoundError, match="did you mean 'red-stain'"):
        _ = room["red"]


def test_a_new_encoder_file_is_picked_up_by_its_contract_test(tmp_path: Path) -> None:
    """The room grows by a folder with one more file: pytest's own collection must name it."""
    folder = tmp_path / "more_encoders"
    folder.mkdir()
    (folder / "new_for_this_test.py").write_text("from napari_pathlupi.patch_encoders.stain_texture import ENCODER\n")
    grow = f"import napari_pathlupi.patch_encoders as room\n    room.__path__.append({str(folder)!r})\n"
    (tmp_path / "grown_room.py").write_text(f"def pytest_collection(session):\n    {grow}")
    contract = Path(__file__).parent / "contracts/test_patch_encoders.py"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "grown_room"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    listing = subprocess.run(
        [*command, str(contract)], capture_output=True, text=True, check=False, cwd=contract.parents[2], env=environment
    ).stdout
    assert "new-for-this-test" in listing
