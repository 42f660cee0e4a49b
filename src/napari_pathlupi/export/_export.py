"""What every export declares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction


@dataclass(frozen=True, slots=True)
class Export:
    """One file format for results; each file of the room defines one as ``EXPORT``.

    Parameters
    ----------
    title
        Name for the panel.
    suffix
        File ending with its dot.
    write
        Writes a prediction on a slide with that frame, all or nothing.
    """

    title: str
    suffix: str
    write: Callable[[Path, Prediction, SlideFrame], None]
