"""What every export declares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction


def _always(prediction: Prediction) -> bool:
    return True


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
    asked_for
        Whether it is written only when asked for by name, because it is large.
    fits
        Whether it says anything of such a prediction; written by itself only then.
    """

    title: str
    suffix: str
    write: Callable[[Path, Prediction, SlideFrame], None]
    asked_for: bool = False
    fits: Callable[[Prediction], bool] = _always
