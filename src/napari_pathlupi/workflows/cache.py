"""Where things are kept that can be made again."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the user's cache folder for this package, as the system has it; ``PATHLUPI_CACHE`` names another."""
    return Path(os.environ.get("PATHLUPI_CACHE") or platformdirs.user_cache_dir("napari-pathlupi", appauthor=False))
