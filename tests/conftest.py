"""Fixtures that every room shares."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from addressed import addresses, write_pyramid


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real slides, patches and tables; a test that needs them is skipped where they are absent."""
    folder = Path(os.environ.get("PATHLUPI_TEST_DATA", Path(__file__).parents[2] / "shared/data/open"))
    if not folder.is_dir():
        pytest.skip(f"needs the real test data (set PATHLUPI_TEST_DATA; not at {folder})")
    return folder


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scales that a test states are not remembered for anybody else, and models of the user do not matter."""
    monkeypatch.setenv("PATHLUPI_CONFIG", str(tmp_path_factory.getbasetemp() / f"config-{uuid4().hex}"))
    monkeypatch.setenv("PATHLUPI_MODELS", str(tmp_path_factory.getbasetemp() / f"models-{uuid4().hex}"))


@pytest.fixture(scope="session")
def addressed_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 1000 x 1500 slide at 0.25 µm/px whose pixels know their place; levels 1, 4 and 16 are strided, lossless."""
    full = addresses((1000, 1500))
    path = tmp_path_factory.mktemp("slides") / "addressed.svs"
    return write_pyramid(path, [full, full[::4, ::4][:250, :375], full[::16, ::16][:62, :93]])
