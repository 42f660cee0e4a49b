"""Fixtures that every room shares."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real slides, patches and tables; a test that needs them is skipped where they are absent."""
    folder = Path(os.environ.get("PATHLUPI_TEST_DATA", Path(__file__).parents[2] / "shared/data/open"))
    if not folder.is_dir():
        pytest.skip(f"needs the real test data (set PATHLUPI_TEST_DATA; not at {folder})")
    return folder
