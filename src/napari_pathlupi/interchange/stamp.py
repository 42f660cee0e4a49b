"""STAMP's tile features: ``feats`` and ``coords`` (x, y).

Three ages: attributes ``tile_size_um`` and ``tile_size_px``, coordinates in µm; before that ``tile_size`` with
``unit`` "um"; before that ``tile_size`` 224, where 224 units are 256 µm. A file with none of these may count anything,
and the user is asked.
"""

from pathlib import Path

from napari_pathlupi.errors import FeaturesError
from napari_pathlupi.interchange._h5 import datasets, matrix, number, opened, places, text, whole
from napari_pathlupi.interchange._told import Reader, Stated, Told

_OLD_TILE, _OLD_TILE_UM = 224, 256.0


def _knows(path: Path) -> bool:
    return {"feats", "coords"} <= set(datasets(path)) or _is_of_whole_slides(path)


def _is_of_whole_slides(path: Path) -> bool:
    found = datasets(path)
    if set(found) != {"feats"}:
        return False
    with opened(path) as file:
        return "stamp_version" in file.attrs


def _read(path: Path, stated: Stated) -> Told:
    with opened(path) as file:
        at = file.attrs  # read singly: libhdf5 may end the process over a damaged word, so none is read in vain
        if "coords" not in file:
            kind = text(at.get("feat_type")) or "slide"
            raise FeaturesError(f"{path.name} holds {kind} features of STAMP: give the features of its tiles.")
        features, corners = matrix(file, "feats", path.name), places(file, "coords", path.name)
        unit, side = text(at.get("unit")), number(at.get("tile_size_um")) or number(at.get("tile_size"))
        if side is not None and "tile_size_um" not in at and unit != "um":
            if round(side) != _OLD_TILE:
                raise FeaturesError(
                    f"{path.name} has tiles of {side:g} units of STAMP, which nobody states: see --unit."
                )
            corners, side = corners * (_OLD_TILE_UM / _OLD_TILE), _OLD_TILE_UM
        return Told(
            tool="STAMP",
            features=features,
            places=corners,
            unit="um" if side is not None else "",
            encoder=text(at.get("extractor")),
            tile_px=whole(at.get("tile_size_px")) or (_OLD_TILE if side is not None else None),
            side_um=side,
        )


READER = Reader("STAMP", 20, _knows, _read)
