"""What TIFF files say of themselves: who wrote them and how large a pixel is."""

import re
import struct
import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from typing import Any

import tifffile

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.errors import SlideError, UnknownFormatError

TIFF_FAULTS = (
    tifffile.TiffFileError,
    ValueError,
    LookupError,
    OSError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    ElementTree.ParseError,
    struct.error,
)
"""What tifffile and tiffslide raise over a damaged index: a changed byte may turn up as any of these."""
UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
"""TIFF 6.0, tag 296 ResolutionUnit: 2 is inch, 3 is centimetre."""
UM_PER_OME_UNIT = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""OME schema 2016-06, UnitsLength; µm is the default."""
COARSEST_BELIEVED = 20.0
"""A resolution tag above this many µm per pixel is a printing default (72 dpi is 353), not a scanner's (our choice)."""


def vendor_of(tiff: Any) -> str:
    """Return who wrote an open tifffile.TiffFile, in words for the panel."""
    known = (
        ("is_svs", "Aperio"),
        ("is_ndpi", "Hamamatsu"),
        ("is_scn", "Leica"),
        ("is_bif", "Ventana"),
        ("is_philips", "Philips"),
        ("is_qpi", "Akoya"),
        ("is_ome", "OME-TIFF"),
    )
    return next((words for flag, words in known if getattr(tiff, flag, False)), "TIFF")


def must_not_overlap(tiff: Any, name: str) -> None:
    """Refuse files whose tiles overlap by amounts that differ: laid edge to edge they would show tissue twice.

    Known are Ventana BIF and Trestle MedScan, by the tags that tifffile and OpenSlide's documentation name.

    Raises
    ------
    UnknownFormatError
        When it is one of these, so that another reader is asked.
    """
    is_trestle = tiff.pages.first.software.startswith("MedScan")
    if tiff.is_bif or is_trestle:
        raise UnknownFormatError(
            f"the tiles of {name} overlap, as {'Trestle' if is_trestle else 'Ventana'} writes them, and only OpenSlide "
            "places them"
        )


def mpp_of(tiff: Any, page: Any, pixels: ElementTree.Element | None) -> Mpp | None:
    """Return µm per pixel of level 0, or None when the file does not say.

    The order: the vendor's own field, OME-XML (``pixels``), the resolution tags. None is snapped to a magnification.
    """
    return _aperio_mpp(tiff, page) or _philips_mpp(tiff) or _ome_mpp(pixels) or _tag_mpp(tiff, page)


def _aperio_mpp(tiff: Any, page: Any) -> Mpp | None:
    # Aperio "Digital Slides and Third-Party Data Interchange", 2008: "|MPP = 0.4990" in the description
    found = re.search(r"\|\s*MPP\s*=\s*(\d+\.?\d*|\.\d+)", page.description) if tiff.is_svs else None
    return _if_credible(float(found[1]), float(found[1]), "Aperio header") if found else None


def _philips_mpp(tiff: Any) -> Mpp | None:
    # in OpenSlide's documentation of the format: mm, rows first, each between quotation marks
    if not tiff.is_philips:
        return None
    found = ElementTree.fromstring(tiff.philips_metadata).find(".//Attribute[@Name='DICOM_PIXEL_SPACING']")
    words = (found.text or "").replace('"', "").split() if found is not None else []
    return _if_credible(1000 * float(words[0]), 1000 * float(words[1]), "Philips header") if len(words) == 2 else None


def ome_pixels(tiff: Any, series: Any) -> ElementTree.Element | None:
    """Return what OME-XML says of the pixels of a series: that of its place, of its name, or the only one there is.

    Raises
    ------
    SlideError
        When the OME-XML is damaged.
    """
    if not tiff.is_ome:
        return None
    try:
        root = ElementTree.fromstring(tiff.ome_metadata)
    except ElementTree.ParseError as error:
        raise SlideError(f"the OME-XML in {tiff.filename} is damaged ({error}): export the file again.") from error
    images = [image for image in root.iterfind("{*}Image") if image.find("{*}Pixels") is not None]
    if len(images) != len(tiff.series):  # some were left out
        images = images if len(images) == 1 else [image for image in images if image.get("Name") == series.name]
        return images[0].find("{*}Pixels") if len(images) == 1 else None
    found: ElementTree.Element | None = images[tiff.series.index(series)].find("{*}Pixels")
    return found


def _ome_mpp(pixels: ElementTree.Element | None) -> Mpp | None:
    sizes = [ome_length(pixels, axis) for axis in "YX"] if pixels is not None else [None, None]
    return _if_credible(sizes[0], sizes[1], "OME-XML") if sizes[0] and sizes[1] else None


def ome_length(pixels: ElementTree.Element, axis: str) -> float | None:
    """Return the µm per pixel, or per plane, along X, Y or Z."""
    value, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
    try:
        return float(value or "") * UM_PER_OME_UNIT[unit]
    except (ValueError, KeyError):
        return None


def _tag_mpp(tiff: Any, page: Any) -> Mpp | None:
    tags = page.tags
    unit = int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2
    if unit not in UM_PER_RESOLUTION_UNIT or "XResolution" not in tags or "YResolution" not in tags:
        return None
    numbers = [tags[f"{axis}Resolution"].value for axis in "YX"]
    if any(numerator <= 0 or denominator <= 0 for numerator, denominator in numbers):
        return None
    y, x = (UM_PER_RESOLUTION_UNIT[unit] / float(Fraction(*number)) for number in numbers)
    source = "Hamamatsu resolution tag" if tiff.is_ndpi else "TIFF resolution tag"
    return _if_credible(y, x, source) if max(y, x) <= COARSEST_BELIEVED else None


def _if_credible(y: float, x: float, source: str) -> Mpp | None:
    """What a file states, or None where that is not the scale of a slide, so that the user is asked."""
    try:
        return Mpp(y, x, source)
    except SlideError:
        return None
