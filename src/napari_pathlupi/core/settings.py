"""Where settings are kept, and what flags, TOML keys and forms take from the one frozen dataclass of each verb."""

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import platformdirs


def config_folder() -> Path:
    """Return the user's settings folder for this package, as the system has it; ``PATHLUPI_CONFIG`` names another."""
    return Path(os.environ.get("PATHLUPI_CONFIG") or platformdirs.user_config_dir("napari-pathlupi", appauthor=False))


def cache_folder() -> Path:
    """Return the user's folder for what can be made again; ``PATHLUPI_CACHE`` names another."""
    return Path(os.environ.get("PATHLUPI_CACHE") or platformdirs.user_cache_dir("napari-pathlupi", appauthor=False))


def field_texts(config: type) -> dict[str, str]:
    """Return what the ``Parameters`` section of a dataclass says of each of its fields, on one line each."""
    sections = "".join((base.__doc__ or "").partition("Parameters")[2] for base in config.__mro__)
    found = re.findall(r"^ {4}(\w[\w, ]*)\n((?: {8}.*\n?)+)", sections, flags=re.MULTILINE)
    texts = {name.strip(): " ".join(text.split()) for names, text in found for name in names.split(",")}
    return {f.name: texts.get(f.name, "") for f in fields(config)}


def as_dict(config: Any) -> dict[str, Any]:
    """Return the settings of a config dataclass as JSON values."""
    return {f.name: getattr(config, f.name) for f in fields(config)}
