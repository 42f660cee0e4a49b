"""The attention map as an OME-TIFF that lies in its place in other viewers."""

from pathlib import Path

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import whole_file


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    """Write the percentile of each tile, 0 to 1, NaN where none was read; one pixel is one tile stride."""
    import tifffile

    heatmap = prediction.grid.raster(prediction.percentile, "attention percentile")
    mpp = prediction.grid.slide_mpp
    height_um, width_um = heatmap.step_px0[0] * mpp.y, heatmap.step_px0[1] * mpp.x
    with whole_file(path) as file:
        tifffile.imwrite(
            file,
            heatmap.values,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            resolution=(1e4 / width_um, 1e4 / height_um),
            resolutionunit="CENTIMETER",
            metadata={
                "axes": "YX",
                "Name": heatmap.quantity,
                "PhysicalSizeX": width_um,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": height_um,
                "PhysicalSizeYUnit": "µm",
            },
        )


EXPORT = Export("Attention map", ".ome.tif", _write)
