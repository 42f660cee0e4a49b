"""LazySlide's (wsidata's) store: a zarr folder of SpatialData with tiles as shapes and features as a table.

Read here without SpatialData: ``shapes/<tiles>/shapes.parquet`` with ``tile_id``, ``tissue_id`` and boxes in level-0
pixels; ``tables/<encoder>_<tiles>`` with ``X`` and ``obs/tile_id``; the attributes ``tile_spec`` and
``slide_properties``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import FeaturesError, UnstatedError
from napari_pathlupi.interchange._h5 import FAULTS, number, whole
from napari_pathlupi.interchange._names import same_name
from napari_pathlupi.interchange._told import Reader, Stated, Told

_SPEC, _SLIDE = "tile_spec", "slide_properties"


def _root(path: Path) -> Any:
    import zarr

    return zarr.open_group(path, mode="r")


def _knows(path: Path) -> bool:
    try:
        return path.is_dir() and _SPEC in _root(path).attrs
    except FAULTS:
        return False


def _read(path: Path, stated: Stated) -> Told:
    try:
        root = _root(path)
        name = _table(path, sorted(root["tables"].group_keys()), stated)
        return _told(path, root, name)
    except FAULTS as error:
        words = str(error).strip().splitlines()
        raise FeaturesError(
            f"{path.name} is damaged or no store of LazySlide ({words[0] if words else type(error).__name__}): "
            "write it again."
        ) from error


def _table(path: Path, names: list[str], stated: Stated) -> str:
    fitting = [name for name in names if not stated.encoder or same_name(name.rpartition("_")[0], stated.encoder)]
    if len(fitting) == 1:
        return fitting[0]
    encoders = ", ".join(name.rpartition("_")[0] for name in names) or "nothing"
    raise UnstatedError(f"{path.name} holds features of {encoders}", "encoder", "say of which")


def _told(path: Path, root: Any, name: str) -> Told:
    encoder, _, tiles = name.rpartition("_")
    table, slide, spec = root["tables"][name], dict(root.attrs[_SLIDE]), dict(root.attrs[_SPEC][tiles])
    corners, side, pieces = _tiles(path / "shapes" / tiles / "shapes.parquet", np.asarray(table["obs"]["tile_id"][:]))
    mpp, shape = number(slide.get("mpp")), slide.get("shape")
    return Told(
        tool="LazySlide",
        features=np.asarray(table["X"][:], dtype=np.float32),
        places=corners,
        unit="px",
        encoder=encoder,
        tile_px=whole(spec.get("width")),
        side_px0=side,
        mpp=(mpp, mpp) if mpp else None,
        mpp_source="LazySlide's store",
        shape_px0=(int(shape[0]), int(shape[1])) if shape else None,
        tissue_ids=pieces,
    )


def _tiles(path: Path, wanted: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], float, npt.NDArray[np.int32] | None]:
    """Corners (x, y) of the wanted tiles, their side, and their pieces of tissue, which LazySlide counts from 0."""
    import pyarrow.parquet
    import shapely

    columns = pyarrow.parquet.read_table(path).to_pydict()
    row_of = {identity: row for row, identity in enumerate(columns["tile_id"])}
    rows = [row_of[identity] for identity in wanted.tolist()]
    boxes = shapely.bounds(shapely.from_wkb(columns["geometry"]))[rows]
    pieces = columns.get("tissue_id")
    ids = None if pieces is None else np.asarray(pieces, dtype=np.int32)[rows] + np.int32(1)
    return boxes[:, :2], float(np.median(boxes[:, 2] - boxes[:, 0])), ids


READER = Reader("LazySlide", 20, _knows, _read)
