"""AnnData: one row per tile, for scanpy, squidpy and their kin.

``X`` features; ``obs`` ``x``, ``y`` (corners), ``width``, ``height`` in level-0 pixels, ``coverage`` and ``tissue_id``;
``obsm["spatial"]`` centres (x, y) in level-0 pixels; ``uns["spatial"][slide]["scalefactors"]`` as squidpy reads them;
``uns["pathlupi"]`` what makes it a bag again. Only files with the last are read.
"""

from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.interchange._h5 import datasets, matrix, number, opened, text, whole
from napari_pathlupi.interchange._told import Reader, Stated, Told, Writer

_OWN = "uns/pathlupi"


def _knows(path: Path) -> bool:
    return {"X", f"{_OWN}/encoder", "obsm/spatial"} <= set(datasets(path))


def _read(path: Path, stated: Stated) -> Told:
    with opened(path) as file:
        own = {key: value[()] for key, value in file[_OWN].items()}
        obs = file["obs"]
        return Told(
            tool="AnnData",
            features=matrix(file, "X", path.name),
            places=np.stack([obs["x"][()], obs["y"][()]], axis=1).astype(np.float64),
            unit="px",
            encoder=text(own["encoder"]),
            version=text(own["version"]),
            tile_px=whole(own["tile_px"]),
            side_px0=number(own["side_px0"]),
            mpp=(float(own["mpp_y"]), float(own["mpp_x"])),
            mpp_source=text(own["mpp_source"]),
            fingerprint=text(own["fingerprint"]),
            coverage=np.asarray(obs["coverage"][()], np.float32),
            tissue_ids=np.asarray(obs["tissue_id"][()], np.int32) if "tissue_id" in obs else None,
        )


def as_anndata(bag: FeatureBag, slide_name: str) -> Any:
    """Return a bag as an ``anndata.AnnData``, one observation per tile.

    Raises
    ------
    MissingExtraError
        When anndata is not installed.
    """
    import pandas as pd

    anndata = load_extra("anndata", "anndata")
    grid = bag.grid
    corners, (height, width) = grid.origins_px0[:, ::-1], grid.side_px0
    columns = {"x": corners[:, 0], "y": corners[:, 1], "width": width, "height": height, "coverage": grid.coverage}
    if grid.tissue_ids is not None:
        columns["tissue_id"] = grid.tissue_ids
    obs = pd.DataFrame(columns, index=[f"{slide_name}-{number}" for number in range(len(bag))])
    made = anndata.AnnData(X=bag.features, obs=obs)
    made.obsm["spatial"] = corners + np.array([width, height]) / 2
    made.uns["spatial"] = {slide_name: {"scalefactors": {"spot_diameter_fullres": width, "tissue_hires_scalef": 1.0}}}
    mpp = grid.slide_mpp
    made.uns["pathlupi"] = {
        "encoder": bag.encoder.name,
        "version": bag.encoder.version,
        "tile_px": grid.tile_px,
        "side_px0": grid.tile_px * grid.mpp / mpp.mean,
        "mpp_y": mpp.y,
        "mpp_x": mpp.x,
        "mpp_source": mpp.source,
        "fingerprint": bag.fingerprint,
    }
    return made


def _write(path: Path, bag: FeatureBag, slide_name: str) -> None:
    as_anndata(bag, slide_name).write_h5ad(path)


READER = Reader("AnnData of ours", 15, _knows, _read)
WRITER = Writer("AnnData", ".h5ad", _write)
