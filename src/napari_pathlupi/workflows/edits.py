"""Tissue as a person painted it, remembered by the content of the slide.

What is kept is a fingerprint and a mask: no name and no path, which may tell who the patient is.
"""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_pathlupi.core.settings import config_folder
from napari_pathlupi.core.tissue import BY_HAND, TissueMask
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.slides import Slide


def remember_tissue(slide: Slide, mask: TissueMask) -> None:
    """Keep the mask for a slide of this content; where nothing can be written it is used, but not kept."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, classes=mask.classes, step_px0=mask.step_px0, counted=mask.counted)
    with suppress(OSError, OutputError):
        _file(slide).parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(slide), content.getvalue())


def recall_tissue(slide: Slide) -> TissueMask | None:
    """Return what was kept for a slide of this content at this scale, or None; what is damaged is not there."""
    try:
        with np.load(_file(slide), allow_pickle=False) as kept:
            height, width = (float(side) for side in kept["step_px0"])
            counted = tuple(int(index) for index in kept["counted"])
            mask = TissueMask(kept["classes"].astype(np.uint8), (height, width), counted, BY_HAND)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return mask if mask.covers(slide.frame.shape_px0) and slide.frame.mpp is not None else None


def forget_tissue(slide: Slide) -> None:
    """Keep nothing for a slide of this content."""
    with suppress(OSError):
        _file(slide).unlink()


def _file(slide: Slide) -> Path:
    return config_folder() / "tissue" / f"{slide.fingerprint}.npz"
