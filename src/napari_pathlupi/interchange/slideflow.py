"""Slideflow's bags: a tensor, beside it ``<slide>.index.npz`` with the centres of tiles, and ``bags_config.json``."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import FeaturesError
from napari_pathlupi.interchange._h5 import number, whole
from napari_pathlupi.interchange._told import Reader, Stated, Told
from napari_pathlupi.interchange._torch import is_torch_file, tensor

_CONFIG = "bags_config.json"
_FAULTS = (zipfile.BadZipFile, zlib.error)


def _index(path: Path) -> Path:
    return path.with_name(f"{path.stem}.index.npz")


def _knows(path: Path) -> bool:
    return is_torch_file(path) and _index(path).is_file()


def _read(path: Path, stated: Stated) -> Told:
    config = _config(path.with_name(_CONFIG))
    extractor = config.get("extractor")
    named = extractor.get("class", "") if isinstance(extractor, dict) else extractor or ""
    return Told(
        tool="Slideflow",
        features=tensor(path),
        places=_centres(_index(path)),
        unit="px",
        centred=True,
        encoder=str(named).rpartition(".")[2],
        tile_px=whole(config.get("tile_px")),
        side_um=number(config.get("tile_um")),
    )


def _centres(path: Path) -> npt.NDArray[np.float64]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = arrays["arr_0"]
        return np.asarray(found, dtype=np.float64).reshape(len(found), 2)
    except (OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, RuntimeError, *_FAULTS) as error:
        raise FeaturesError(
            f"{path.name} holds no centres of tiles ({type(error).__name__}): copy it again."
        ) from error


def _config(path: Path) -> Mapping[str, Any]:
    """What is said of the bags; nothing where the file is missing."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FeaturesError(f"{path.name} cannot be read ({error}): copy it again.") from error
    if not isinstance(words, dict):
        raise FeaturesError(f"{path.name} is not what Slideflow writes: copy it again.")
    return words


READER = Reader("Slideflow", 20, _knows, _read)
