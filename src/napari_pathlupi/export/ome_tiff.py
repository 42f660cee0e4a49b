"""Where the model looked, or what it took each tile for, as an OME-TIFF that lies in its place in other viewers."""

from pathlib import Path

import numpy as np

from napari_pathlupi.core.gene_sets import pictures
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import whole_file


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    """Write each map, NaN where nothing was read; one pixel is one tile stride, several maps are channels.

    Maps go from 0 to 1, those of gene sets from -1 to 1 where a tile may speak against the activity.
    """
    import tifffile

    if not (maps := {**prediction.maps, **pictures(prediction.gene_sets)}):
        raise OutputError(f"there is no map to write to {path.name}: the model gives no attention.")
    heatmaps = [prediction.grid.raster(values, what) for what, values in maps.items()]
    mpp, (step_y, step_x) = prediction.grid.slide_mpp, heatmaps[0].step_px0
    names = [heatmap.quantity for heatmap in heatmaps]
    one = len(heatmaps) == 1
    places = {"PositionX": heatmaps[0].origin_px0[1] * mpp.x, "PositionY": heatmaps[0].origin_px0[0] * mpp.y}
    with whole_file(path) as file:
        tifffile.imwrite(
            file,
            heatmaps[0].values if one else np.stack([heatmap.values for heatmap in heatmaps]),
            ome=True,
            photometric="minisblack",
            compression="zlib",
            resolution=(1e4 / (step_x * mpp.x), 1e4 / (step_y * mpp.y)),
            resolutionunit="CENTIMETER",
            metadata={
                "axes": "YX" if one else "CYX",
                "Name": names[0] if one or not prediction.classifies_tiles else TILES,
                "PhysicalSizeX": step_x * mpp.x,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": step_y * mpp.y,
                "PhysicalSizeYUnit": "µm",
                "Plane": {axis: [place] * len(heatmaps) for axis, place in places.items()},
            }
            | ({} if one else {"Channel": {"Name": names}}),
        )


TILES = "probabilities of the tiles"
EXPORT = Export("Map", ".ome.tif", _write, fits=lambda made: bool(made.maps or pictures(made.gene_sets)))
