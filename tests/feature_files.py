"""Files of features as other tools write them, made by hand; the places of all are the same."""

import json
from pathlib import Path

import h5py
import numpy as np

CORNERS = np.array([[1024, 512], [1536, 512], [1024, 1024], [2048, 2560]])
"""(x, y), level-0 pixels of a slide at 0.25 µm/px; tiles are 512 px = 128 µm wide."""
SIDE = 512


def vectors(dim: int = 1024, count: int = 4) -> np.ndarray:
    return np.random.default_rng(dim).normal(size=(count, dim)).astype(np.float32)


def write_h5(path: Path, data: dict[str, np.ndarray], **attributes: object) -> Path:
    """Datasets by name; attributes of the file, or of a dataset when they are a dict under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            file[name] = values
        for name, value in attributes.items():
            if isinstance(value, dict):
                file[name].attrs.update(value)
            else:
                file.attrs[name] = value
    return path


def trident(folder: Path, **coords: object) -> Path:
    at = {
        "patch_size": 256,
        "patch_size_level0": SIDE,
        "level0_magnification": 40,
        "target_magnification": 20,
        "overlap": 0,
        "name": "case",
        "savetodir": "None",
        "level0_width": 4000,
        "level0_height": 3600,
    }
    features = {"name": "case", "savetodir": "None", "encoder": "uni_v1"}
    data = {"features": vectors().astype(np.float16), "coords": CORNERS}
    return write_h5(folder / "case.h5", data, features=features, coords={**at, **coords})


def clam(folder: Path) -> tuple[Path, Path]:
    """Features, and the file under ``patches`` that says how large tiles are."""
    made = write_h5(folder / "h5_files/case.h5", {"features": vectors(), "coords": CORNERS.astype(np.int32)})
    at = {"patch_size": 256, "patch_level": 1, "downsample": np.array([2.0, 2.0]), "name": "case"}
    return made, write_h5(folder / "patches/case.h5", {"coords": CORNERS}, coords=at)


def stamp(folder: Path, **attributes: object) -> Path:
    at = {"stamp_version": "2.4.0", "extractor": "uni", "unit": "um", "tile_size_um": 128.0, "tile_size_px": 256}
    at = {**at, "feat_type": "tile", **attributes}
    data = {"feats": vectors().astype(np.float16), "coords": CORNERS * 0.25}
    return write_h5(folder / "case.h5", data, **{name: value for name, value in at.items() if value is not None})


def slideflow(folder: Path) -> Path:
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.save(torch.from_numpy(vectors()), folder / "case.pt")
    np.savez(folder / "case.index.npz", CORNERS + SIDE / 2)
    extractor = {"class": "slideflow.model.extractors.UNI", "kwargs": {}}
    config = {"extractor": extractor, "normalizer": None, "num_features": 1024, "tile_px": 256, "tile_um": 128}
    (folder / "bags_config.json").write_text(json.dumps(config))
    return folder / "case.pt"


def lazyslide(folder: Path, *encoders: str) -> Path:
    """As wsidata 0.12 writes with spatialdata 0.7, as far as it is read; rows of the table are in another order."""
    import pyarrow as pa
    import pyarrow.parquet
    import shapely
    import zarr

    store = folder / "case.zarr"
    root = zarr.open_group(store, mode="w", zarr_format=3)
    sides = {"height": 256, "width": 256, "stride_height": 256, "stride_width": 256, "mpp": 0.5}
    root.attrs["tile_spec"] = {"tiles": {**sides, "base_level": 0, "base_downsample": 2.0, "tissue_name": "tissues"}}
    root.attrs["slide_properties"] = {"shape": [3600, 4000], "mpp": 0.25, "magnification": 40.0}
    boxes = shapely.to_wkb(shapely.box(*CORNERS.T, *(CORNERS + SIDE).T))
    tiles = {"tile_id": [10, 11, 12, 13], "tissue_id": [0, 0, 0, 1], "geometry": list(boxes)}
    root.create_group("shapes/tiles")
    pyarrow.parquet.write_table(pa.table(tiles), store / "shapes/tiles/shapes.parquet")
    for encoder in encoders or ("uni",):
        table = root.create_group(f"tables/{encoder}_tiles")
        table.create_array("X", data=vectors()[::-1].copy())
        table.create_group("obs").create_array("tile_id", data=np.array([13, 12, 11, 10]))
    return store
