"""TRIDENT's patch features, in and out.

``features`` (N, D) and ``coords`` (N, 2), (x, y) of corners in level-0 pixels, with their attributes on the datasets,
as of TRIDENT 0.3. What a bag of ours holds beyond that goes into datasets and an attribute that begin with
``pathlupi``, which TRIDENT does not look at.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.lattice import POWERS, magnification
from napari_pathlupi.errors import FeaturesError
from napari_pathlupi.interchange._h5 import datasets, matrix, number, opened, places, text, whole
from napari_pathlupi.interchange._told import Reader, Stated, Told, Writer

_OWN = "pathlupi"
_ORIGINS, _COVERAGE, _TISSUE = (f"{_OWN}_{what}" for what in ("origins_px0", "coverage", "tissue_ids"))
_TIED = frozenset({"patch_size_level0", "target_magnification"})


def _knows(path: Path) -> bool:
    found = datasets(path)
    return "features" in found and bool(found.get("coords", (frozenset(), ()))[0] & _TIED)


def _read(path: Path, stated: Stated) -> Told:
    shape = datasets(path)["features"][1]
    if len(shape) == 1 and shape[0]:
        raise FeaturesError(f"{path.name} holds one vector for a whole slide: give the features of its tiles.")
    with opened(path) as file:
        features, at = matrix(file, "features", path.name), file["coords"].attrs
        encoder = text(file["features"].attrs.get("encoder"))
        own = _own(file, path.name)
        power = whole(at.get("level0_magnification"))
        width, height = whole(at.get("level0_width")), whole(at.get("level0_height"))
        return Told(
            tool="TRIDENT",
            features=features,
            places=own.pop("places", None) if own else places(file, "coords", path.name),
            unit="px",
            encoder=encoder,
            tile_px=whole(at.get("patch_size")),
            side_px0=own.pop("side_px0", None) or number(at.get("patch_size_level0")),
            shape_px0=(height, width) if height and width else None,
            power=power,
            notes=(f"TRIDENT took the slide for {power}x.",) if power and not own else (),
            **own,
        )


def _own(file: Any, name: str) -> dict[str, Any]:
    """What we wrote beside TRIDENT's own."""
    stated = file["features"].attrs.get(_OWN)
    if stated is None:
        return {}
    facts = json.loads(text(stated))
    found = {key: facts[key] for key in ("version", "mpp_source", "fingerprint", "side_px0")}
    found |= {"mpp": tuple(map(float, facts["mpp"])), "places": places(file, _ORIGINS, name)}
    found["coverage"] = np.asarray(file[_COVERAGE][()], np.float32)
    if _TISSUE in file:
        found["tissue_ids"] = np.asarray(file[_TISSUE][()], np.int32)
    return found


def _write(path: Path, bag: FeatureBag, slide_name: str) -> None:
    import h5py

    grid = bag.grid
    corners = grid.origins_px0[:, ::-1]
    with h5py.File(path, "w") as file:
        features = file.create_dataset("features", data=bag.features)
        features.attrs.update({"name": slide_name, "savetodir": "None", "encoder": bag.encoder.name})
        features.attrs[_OWN] = json.dumps(_facts(bag))
        coords = file.create_dataset("coords", data=np.rint(corners).astype(np.int64))
        coords.attrs.update(_attributes(bag) | {"name": slide_name, "savetodir": "None"})
        file[_ORIGINS], file[_COVERAGE] = corners, grid.coverage
        if grid.tissue_ids is not None:
            file[_TISSUE] = grid.tissue_ids


def _attributes(bag: FeatureBag) -> dict[str, Any]:
    """As TRIDENT has them: magnifications are whole, and the overlap is in pixels of a tile."""
    grid = bag.grid
    side, stride = grid.side_px0[1], grid.stride_px0[1]
    known = grid.slide_mpp.x < POWERS[-1][0]
    return {
        "patch_size": grid.tile_px,
        "patch_size_level0": round(side),
        "level0_magnification": magnification(grid.slide_mpp.x) if known else "None",
        "target_magnification": round(10 / bag.encoder.mpp),
        "overlap": max(0, round(grid.tile_px * (1 - stride / side))),
    }


def _facts(bag: FeatureBag) -> dict[str, Any]:
    mpp = bag.grid.slide_mpp
    return {
        "version": bag.encoder.version,
        "mpp": [mpp.y, mpp.x],
        "mpp_source": mpp.source,
        "side_px0": bag.grid.tile_px * bag.grid.mpp / mpp.mean,
        "fingerprint": bag.fingerprint,
    }


READER = Reader("TRIDENT", 10, _knows, _read)
WRITER = Writer("TRIDENT h5", ".h5", _write)
