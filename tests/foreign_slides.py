"""Slides in formats of several files, written for tests: OME-Zarr folders and DICOM series."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from addressed import Picture

MICROMETRES = ("micrometer", "micrometer")


def write_ome_zarr(
    folder: Path,
    levels: list[Picture],
    *,
    version: str = "0.4",
    axes: str = "cyx",
    scale: tuple[float, float] = (0.25, 0.26),
    units: tuple[str | None, str | None] = MICROMETRES,
    chunk: int = 128,
) -> Path:
    """An OME-Zarr folder of 0.4 (zarr v2) or 0.5 (zarr v3) with axes in any order, 0.25 x 0.26 µm/px by default."""
    import zarr

    new = version == "0.5"
    group = zarr.open_group(str(folder), mode="w", zarr_format=3 if new else 2)
    datasets = []
    for index, level in enumerate(levels):
        data = _in_order(level, axes)
        chunks = tuple(chunk if axis in "yx" else side for axis, side in zip(axes, data.shape, strict=True))
        separator = {"name": "default" if new else "v2", "separator": "/"}
        array = group.create_array(
            str(index), shape=data.shape, chunks=chunks, dtype="uint8", chunk_key_encoding=separator, fill_value=0
        )
        array[:] = data
        ratio = {"y": levels[0].shape[0] / level.shape[0], "x": levels[0].shape[1] / level.shape[1]}
        steps = [dict(zip("yx", scale, strict=True)).get(axis, 1.0) * ratio.get(axis, 1.0) for axis in axes]
        datasets.append({"path": str(index), "coordinateTransformations": [{"type": "scale", "scale": steps}]})
    described = [_axis(axis, dict(zip("yx", units, strict=True)).get(axis)) for axis in axes]
    multiscales: list[dict[str, Any]] = [{"axes": described, "datasets": datasets, "name": "addressed"}]
    if new:
        group.attrs["ome"] = {"version": version, "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [{**multiscales[0], "version": version}]
    return folder


def _axis(name: str, unit: str | None) -> dict[str, str]:
    kind = {"c": "channel", "t": "time"}.get(name, "space")
    return {"name": name, "type": kind, **({"unit": unit} if unit else {})}


def _in_order(picture: Picture, axes: str) -> Picture:
    kept = [axis for axis in axes if axis in "yxc"]
    ordered = picture.transpose(["yxc".index(axis) for axis in kept])
    return ordered[tuple(slice(None) if axis in "yxc" else np.newaxis for axis in axes)]


def write_dicom(
    folder: Path,
    levels: list[Picture],
    *,
    mpp: tuple[float, float] | None = (0.25, 0.26),
    tile: int = 64,
    kinds: Sequence[str] = (),
    series: str = "1.2.826.0.1.3680043.8.498.1",
) -> list[Path]:
    """A whole-slide series, an uncompressed TILED_FULL instance per level; ``kinds`` names others than VOLUME."""
    folder.mkdir(exist_ok=True)
    paths = []
    for index, level in enumerate(levels):
        kind = kinds[index] if index < len(kinds) else "VOLUME"
        spacing = mpp and [mpp[axis] / 1000 * levels[0].shape[axis] / level.shape[axis] for axis in range(2)]
        dataset = _instance(level, tile, kind, f"{series}.{index + 1}", spacing)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{series}.77", f"{series}.78"
        dataset.FrameOfReferenceUID = f"{series}.79"
        paths.append(folder / f"{series}.{index}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _instance(level: Picture, tile: int, kind: str, uid: str, spacing_mm: list[float] | None) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage

    height, width = level.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    whole = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    whole[:height, :width] = level
    frames = whole.reshape(rows, tile, columns, tile, 3).transpose(0, 2, 1, 3, 4)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = VLWholeSlideMicroscopyImageStorage, uid
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = VLWholeSlideMicroscopyImageStorage, uid, "SM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    dataset.DimensionOrganizationType, dataset.NumberOfFrames = "TILED_FULL", rows * columns
    dataset.TotalPixelMatrixRows, dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixFocalPlanes = (
        height,
        width,
        1,
    )
    dataset.Rows = dataset.Columns = tile
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"
    dataset.ImagedVolumeWidth, dataset.ImagedVolumeHeight, dataset.ImagedVolumeDepth = 1.0, 1.0, 0.001
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    dataset.SpecimenLabelInImage, dataset.FocusMethod, dataset.ExtendedDepthOfField = "NO", "AUTO", "NO"
    origin, path, measures, shared = Dataset(), Dataset(), Dataset(), Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 0.0, 0.0
    path.OpticalPathIdentifier = "0"
    measures.SliceThickness = 0.001
    if spacing_mm is not None:
        measures.PixelSpacing = [f"{side:.10g}" for side in spacing_mm]
    shared.PixelMeasuresSequence = [measures]
    dataset.TotalPixelMatrixOriginSequence, dataset.OpticalPathSequence = [origin], [path]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PixelData = frames.tobytes()
    return dataset
