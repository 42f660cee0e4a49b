"""TIFF files as slide scanners write them, with each vendor's own tags, made from a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from addressed import Picture

TILE, NM_PER_PX = 64, 500
JPEG, LOSSLESS = "jpeg", "deflate"
"""What scanners write, and what shows the place of each pixel."""
_SCN_IMAGE = """<image name="image {page}"><creationDate>2020-01-01T00:00:00.00Z</creationDate>
<device model="Leica SCN400" version="1.5"/><pixels sizeX="{}" sizeY="{}">{}</pixels>
<view sizeX="{width}" sizeY="{height}" offsetX="{x}" offsetY="{y}" spacingZ="0"/>
<scanSettings><objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>
<numericalAperture>0.4</numericalAperture><illuminationSource>brightfield</illuminationSource>
</illuminationSettings></scanSettings></image>"""


def _write(tiff: Any, picture: Picture, description: str, **options: Any) -> None:
    settings = {"photometric": "rgb", "tile": (TILE, TILE), "compression": LOSSLESS, "metadata": None, **options}
    tiff.write(picture, description=description, **settings)


def write_scn(path: Path, areas: list[tuple[Picture, tuple[int, int]]], compression: str = LOSSLESS) -> Path:
    """A Leica SCN: the macro image, and areas, each a picture and its place (y, x) in pixels, of two levels each."""
    whole_px, options = (4000, 2000), {"compression": compression, "resolutionunit": "CENTIMETER"}
    pages = [np.full((100, 50, 3), 9, np.uint8)]
    images = [_scn_image(0, [pages[0]], (0, 0), whole_px)]
    for picture, corner in areas:
        levels = [picture, picture[::2, ::2]]
        images.append(_scn_image(len(pages), levels, corner, picture.shape))
        pages += levels
    height, width = (side * NM_PER_PX for side in whole_px)
    words = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="u"><collection '
        f'name="c" uuid="u" sizeX="{width}" sizeY="{height}"><barcode>x</barcode>{"".join(images)}</collection></scn>'
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for index, page in enumerate(pages):
            _write(tiff, page, words if index == 0 else "", resolution=(20_000, 20_000), **options)
    return path


def _scn_image(first_page: int, levels: list[Picture], corner: tuple[int, int], shape_px: tuple[int, ...]) -> str:
    dimensions = "".join(
        f'<dimension sizeX="{level.shape[1]}" sizeY="{level.shape[0]}" r="{index}" ifd="{first_page + index}"/>'
        for index, level in enumerate(levels)
    )
    y, x, height, width = (side * NM_PER_PX for side in (*corner, *shape_px[:2]))
    return _SCN_IMAGE.format(
        levels[0].shape[1], levels[0].shape[0], dimensions, width=width, height=height, y=y, x=x, page=first_page
    )


def write_philips(path: Path, picture: Picture, mm: tuple[float, float] = (0.00025, 0.00026)) -> Path:
    """A Philips TIFF of two levels, the second padded to whole tiles; its scale stands in its XML only."""
    levels = [picture, picture[::2, ::2]]
    spacings = [[f'"{side * 2**index:.8f}"' for side in mm] for index in range(2)]
    data = "".join(
        '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028" '
        f'Element="0x0030" PMSVR="IDoubleArray">{" ".join(spacing).replace(chr(34), "&quot;")}</Attribute>'
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_NUMBER" PMSVR="IUInt16">{index}</Attribute></DataObject>'
        for index, spacing in enumerate(spacings)
    )
    whole = " ".join(spacings[0]).replace('"', "&quot;")
    words = (
        '<?xml version="1.0" encoding="UTF-8"?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER" PMSVR="IString">PHILIPS</Attribute>'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray"><Array>'
        '<DataObject ObjectType="DPScannedImage"><Attribute Name="PIM_DP_IMAGE_TYPE" PMSVR="IString">WSI</Attribute>'
        f'<Attribute Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">{whole}</Attribute>'
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" PMSVR="IDataObjectArray">'
        f"<Array>{data}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path) as tiff:
        for index, level in enumerate(levels):
            padded = _padded(level) if index else level
            options = {"software": "Philips DP v1.0"} if index == 0 else {"software": False, "subfiletype": 1}
            _write(tiff, padded, words if index == 0 else "", compression=JPEG, **options)
    return path


def _padded(level: Picture) -> Picture:
    sides = [(0, -side % TILE) for side in level.shape[:2]]
    return np.pad(level, [*sides, (0, 0)], constant_values=255)


def write_trestle(path: Path, picture: Picture, overlap: int) -> Path:
    """A Trestle MedScan file of one level, whose tiles overlap by so many pixels."""
    words = f"Background Color=E6E6E6;White Balance=D7BFC2;Objective Power=20;OverlapsXY= {overlap} {overlap}"
    with tifffile.TiffWriter(path) as tiff:
        _write(tiff, _with_overlaps(picture, overlap), words, software="MedScan 1.0", resolution=(0.25, 0.25))
    return path


def _with_overlaps(picture: Picture, overlap: int) -> Picture:
    """The tiles that a camera takes in steps smaller than a tile, laid edge to edge as the file holds them."""
    starts = [range(0, side - TILE + 1, TILE - overlap) for side in picture.shape[:2]]
    return np.concatenate(
        [np.concatenate([picture[y : y + TILE, x : x + TILE] for x in starts[1]], axis=1) for y in starts[0]]
    )


def write_bif(path: Path, picture: Picture, overlap: int) -> Path:
    """A Ventana BIF of one level, whose columns of tiles overlap by so many pixels."""
    stored = _with_overlaps(picture, overlap) if overlap else picture
    rows, columns = (-(-side // TILE) for side in stored.shape[:2])
    scan = '<Metadata><iScan ScanRes="0.25" Magnification="40" UnitNumber="1"></iScan></Metadata>'
    joints = "".join(_joints(rows, columns, overlap))
    info = (
        f'<EncodeInfo Ver="2"><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" NumRows="{rows}" '
        f'NumCols="{columns}" Width="{TILE}" Height="{TILE}" Pos-X="0" Pos-Y="0">{joints}</ImageInfo>'
        '</SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        common = {"software": "ScanOutputManager 1.1"}
        _write(tiff, stored[:TILE, :TILE], "Label Image", extratags=[_xmp(scan)], **common)
        _write(tiff, stored, "level=0 mag=40 quality=90", extratags=[_xmp(info)], **common)
    return path


def _joints(rows: int, columns: int, overlap: int) -> list[str]:
    """What joins neighbours; tiles are counted from the lower left, up in a serpentine."""

    def number(row: int, column: int) -> int:
        up = rows - 1 - row
        return up * columns + (column if up % 2 == 0 else columns - 1 - column) + 1

    joint = '<TileJointInfo FlagJoined="1" Confidence="100" Direction="{}" Tile1="{}" Tile2="{}" {}/>'
    sides = f'OverlapX="{overlap}" OverlapY="0"', f'OverlapX="0" OverlapY="{overlap}"'
    right = [
        joint.format("RIGHT", number(row, column), number(row, column + 1), sides[0])
        for row in range(rows)
        for column in range(columns - 1)
    ]
    up = [
        joint.format("UP", number(row, column), number(row - 1, column), sides[1])
        for row in range(1, rows)
        for column in range(columns)
    ]
    return right + up


def _xmp(words: str) -> tuple[int, int, int, bytes, bool]:
    return (700, 1, len(words), words.encode(), True)


def write_qptiff(path: Path, picture: Picture) -> Path:
    """An Akoya (PerkinElmer) QPTIFF of a brightfield slide: two levels, with the thumbnail between them."""
    kinds = (("FullResolution", picture), ("Thumbnail", picture[::8, ::8]), ("ReducedResolution", picture[::2, ::2]))
    with tifffile.TiffWriter(path) as tiff:
        for kind, level in kinds:
            words = (
                "<?xml version='1.0'?><PerkinElmer-QPI-ImageDescription><DescriptionVersion>4</DescriptionVersion>"
                f"<ImageType>{kind}</ImageType></PerkinElmer-QPI-ImageDescription>"
            )
            tile = None if kind == "Thumbnail" else (TILE, TILE)
            options = {"tile": tile, "software": "PerkinElmer-QPI", "subfiletype": int(kind == "ReducedResolution")}
            _write(tiff, level, words, resolution=(20_000, 20_000), resolutionunit="CENTIMETER", **options)
    return path
