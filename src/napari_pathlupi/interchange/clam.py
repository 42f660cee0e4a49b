"""CLAM's patch features: ``h5_files`` (features and coordinates) and ``pt_files`` (features alone).

Neither says how large a tile is. The file under ``patches`` does, in attributes of its ``coords``; it is named with
``coords`` and gives the places of a ``.pt`` too, whose rows are in the same order.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.interchange._h5 import datasets, matrix, number, opened, places
from napari_pathlupi.interchange._told import Reader, Stated, Told
from napari_pathlupi.interchange._torch import is_torch_file, tensor


def _knows(path: Path) -> bool:
    return {"features", "coords"} <= set(datasets(path)) or is_torch_file(path)


def _read(path: Path, stated: Stated) -> Told:
    if is_torch_file(path):
        told = Told("CLAM", tensor(path))
    else:
        with opened(path) as file:
            told = Told("CLAM", matrix(file, "features", path.name), places(file, "coords", path.name), "px")
            told = replace(told, side_px0=_side(file["coords"].attrs))
    return _with_patches(told, Path(stated.coords)) if stated.coords else told


def _with_patches(told: Told, path: Path) -> Told:
    with opened(path) as file:
        return replace(
            told,
            places=places(file, "coords", path.name),
            unit="px",
            side_px0=_side(file["coords"].attrs) or told.side_px0,
        )


def _side(at: Mapping[str, Any]) -> float | None:
    """The side in level-0 pixels: CLAM's is in pixels of the level it read, TRIDENT and WSInfer say it themselves."""
    size, factors = number(at.get("patch_size")), np.ravel(at.get("downsample", ()))
    if "patch_size_level0" in at:
        return number(at["patch_size_level0"])
    if size and "patch_spacing_um_px" in at:
        return size
    custom = number(at.get("custom_downsample")) or 1.0
    return size * float(factors[0]) * custom if size and len(factors) else None


READER = Reader("CLAM", 30, _knows, _read)
