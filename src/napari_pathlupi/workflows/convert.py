"""Any slide -> a tiled pyramid that every viewer opens quickly."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from napari_pathlupi.core.progress import CancelFlag, Steps
from napari_pathlupi.errors import OutputError, SettingsError
from napari_pathlupi.simulation.slide_writer import SlideLayout, write_slide_steps
from napari_pathlupi.slides import Slide

SUFFIXES = (".tif", ".tiff")
LEFT_OUT = "Colour profile (ICC), label and macro image were not carried over."
"""What a converted file does not hold, in words."""


def convert_steps(
    slide: Slide, path: Path, lossless: bool = False, quality: int = 90, cancel: CancelFlag | None = None
) -> Steps[Path]:
    """Yield progress and return a generic tiled TIFF, every factor of two a level, in memory of a few rows of tiles.

    The µm per pixel stand in the resolution tags of TIFF 6.0, as fractions of 32-bit numbers: exact to 1e-9. Unequal
    sides stay so, and an unknown scale stays unknown. What was chosen of the file (plane, scene, colours) stands in the
    ImageDescription of each level. ICC profile, label and macro image are left out. Tiles that cannot be read are
    white; ``slide.missing_tiles`` counts them afterwards.

    Parameters
    ----------
    slide
        The slide.
    path
        Where to, ending in .tif; there must be no such file. It appears whole or not at all.
    lossless
        Deflate, every pixel of level 0 as it was, rather than JPEG.
    quality
        Of the JPEG, 1 to 100.
    cancel
        Asks to stop; nothing is left behind then.

    Raises
    ------
    OutputError
        When there is such a file already, or it cannot be written.
    SettingsError
        When quality or ending is not one that works.
    SlideError
        When the slide cannot be read.
    Cancelled
        When asked to stop.
    """
    _must_be_possible(path, quality)
    layout = _layout(slide, lossless, quality)
    read = partial(slide.lenient().read_level, 0)
    return (yield from write_slide_steps(path, read, layout, cancel or CancelFlag()))


def _layout(slide: Slide, lossless: bool, quality: int) -> SlideLayout:
    mpp, note = slide.frame.mpp, _note(slide.choice.stated())
    scale = (mpp.y, mpp.x) if mpp else None
    return SlideLayout(
        slide.frame.shape_px0, scale, factor=2, lossless=lossless, quality=quality, aperio=False, note=note
    )


def _note(stated: Mapping[str, object]) -> str | None:
    chosen = ", ".join(f"{name} {value}" for name, value in stated.items())
    return f"napari-pathlupi convert: {chosen}" if chosen else None


def _must_be_possible(path: Path, quality: int) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{path.name} must end in .tif: a tiled TIFF is what is written.")
    if not 1 <= quality <= 100:
        raise SettingsError(f"a JPEG quality of {quality} cannot be: 1 to 100 can, 90 is good.")
    if path.exists():
        raise OutputError(f"{path} is there already and is not overwritten: give another name.")
