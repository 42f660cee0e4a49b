"""The layer that shows what was taken for tissue, and that a person may paint on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathlupi import layers
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.widgets._viewer import Canvas, facts_of

if TYPE_CHECKING:
    from napari_pathlupi.errors import PathlupiError
    from napari_pathlupi.session import Session
    from napari_pathlupi.slides import Slide
    from napari_pathlupi.workflows.prediction.predict import Plan


def show_tissue(canvas: Canvas, slide: "Slide", outcome: "Plan | PathlupiError") -> None:
    """Add what a check took for tissue above its slide, unless it is there; that there is none is shown too."""
    mask: TissueMask | None = getattr(outcome, "tissue", None)
    below = canvas.of_slide(slide.fingerprint, "slide")
    if below and mask and not canvas.of_slide(slide.fingerprint, "tissue"):
        place = canvas.viewer.layers.index(below[0]) + 1
        canvas.add(layers.tissue_layer(mask, slide.fingerprint, slide.mpp), place)


def tissue_strokes(canvas: Canvas, slide: "Slide | None") -> Iterator[Any]:
    """Yield the emitters that say that somebody painted on the tissue of a slide, or took it back."""
    for layer in canvas.of_slide(slide.fingerprint, "tissue") if slide else ():
        yield from (layer.events.paint, layer.events.data, layer.events.set_data)


def take_tissue(canvas: Canvas, session: "Session", slide: "Slide | None") -> None:
    """Tell a session what a person painted on the tissue of a slide; who deletes the layer wants it looked for anew."""
    if slide is None:
        return
    shown = canvas.of_slide(slide.fingerprint, "tissue")
    mask = _painted(shown[0]) if shown else None
    if mask is not None and mask.by_hand:
        session.choose_tissue(mask)
    elif session.tissue is not None:
        session.forget_tissue()


def _painted(layer: Any) -> TissueMask:
    mask: TissueMask = facts_of(layer)["mask"]
    painted = np.asarray(layer.data)
    changed = painted.shape == mask.classes.shape and not np.array_equal(painted, mask.classes)
    return mask.edited(painted) if changed else mask
