"""Core types -> napari layer tuples ``(data, options, kind)``; no napari and no torch here.

Every layer is placed so that world µm = level-0 px * mpp, with the slide's corner at 0. napari puts the *centre* of
data pixel 0 at ``translate``, hence the half pixels below. A slide of unknown scale is shown in level-0 pixels.

Every layer carries ``metadata["pathlupi"]``: what it is (``kind``), the fingerprint of its slide and, for a result,
the run, the model and its digest. Layers are found by it, never by their names.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.core.tiles import Heatmap
from napari_pathlupi.core.tissue import (
    BLACK_PEN,
    BLUE_PEN,
    BLUR,
    BUBBLE,
    EDGE,
    FAT,
    FOLD,
    GREEN_PEN,
    NAMES,
    RED_PEN,
    TISSUE,
    TissueMask,
)
from napari_pathlupi.runs import Picture
from napari_pathlupi.slides import Slide

LayerTuple = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: data, options, kind."""

KEY = "pathlupi"
"""Where a layer's metadata says that it is ours."""

STEP = "step_px0"
"""Where a layer says how large (y, x) its pixels are in level-0 pixels; 1 where it says nothing."""

LEGEND = "evidence within this slide, not a diagnosis of the tile"
"""What the subtype map is, in the words shown with it."""

# matplotlib's inferno without its black end, CC0; alpha rises from nothing so that H&E shows where attention is low
# (our choice).
_ATTENTION_RGBA = (
    (0.258, 0.039, 0.406, 0.0),
    (0.416, 0.090, 0.433, 0.35),
    (0.578, 0.148, 0.404, 0.6),
    (0.736, 0.216, 0.330, 0.8),
    (0.865, 0.317, 0.226, 0.9),
    (0.955, 0.454, 0.100, 1.0),
    (0.988, 0.645, 0.040, 1.0),
    (0.965, 0.844, 0.273, 1.0),
)
_AGAINST, _FOR = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
"""Blue and orange, told apart by the colour-blind (our choice)."""
_TISSUE_COLOURS: Mapping[int | None, str] = {  # ink in a light shade of its own; our choice throughout
    None: "#009e73",
    0: "transparent",
    TISSUE: "#009e73",
    RED_PEN: "#ff5a5a",
    GREEN_PEN: "#7be07b",
    BLUE_PEN: "#56b4e9",
    BLACK_PEN: "#9a9a9a",
    EDGE: "#5a5a5a",
    BUBBLE: "#f0e442",
    BLUR: "#cc79a7",
    FOLD: "#e69f00",
    FAT: "#d9f0a3",
}


def slide_layer(slide: Slide) -> LayerTuple:
    """Return the slide as a lazy RGB pyramid in µm, or in pixels while its scale is unknown."""
    shared = {"path": str(slide.path), "shape_px0": slide.frame.shape_px0, "slide": slide}
    options = {
        "name": slide.path.name,
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        "cache": False,  # tiles are kept by the reader; napari would keep them again, in up to a quarter of the memory
        "metadata": _ours("slide", slide.fingerprint, shared),
        **placement(slide.frame.mpp),
    }
    return slide.pyramid(), options, "image"


def attention_layer(prediction: Prediction, run: str, mpp: Mpp | None) -> LayerTuple:
    """Return where the model looked: the percentile of each tile's attention, NaN where it did not look.

    A cell is a whole tile, also where that hangs over the slide's edge: the model saw it so, white beyond the edge, and
    an image in napari has no cells of parts.

    Parameters
    ----------
    prediction
        Partial or whole.
    run
        Identity of the run.
    mpp
        Size of a level-0 pixel as the slide lies now; it may have been restated since the run.
    """
    options = _heat("Attention", prediction, mpp) | {"metadata": _result("attention", prediction, run)}
    return attention_raster(prediction).values, options, "image"


def map_layer(prediction: Prediction, what: str, run: str, mpp: Mpp | None) -> LayerTuple:
    """Return one of `Prediction.maps`: of a class of tiles, or of a head of attention; only the first is shown at once.

    Its kind is the name of the map. The other parameters are those of `attention_layer`.
    """
    shown = {"visible": what == next(iter(prediction.maps)), "metadata": _result(what, prediction, run)}
    options = _heat(what[:1].upper() + what[1:], prediction, mpp) | shown
    return prediction.grid.raster(prediction.maps[what], what).values, options, "image"


def picture_layer(prediction: Prediction, picture: Picture, run: str, mpp: Mpp | None) -> LayerTuple:
    """Return a map that a person asked for; one with signs goes from blue over nothing to orange.

    Its kind is that of the picture. The other parameters are those of `attention_layer`.
    """
    told = {"title": picture.title, "words": picture.words, "signed": picture.signed}
    options = _heat(picture.title, prediction, mpp) | {"metadata": _result(picture.kind, prediction, run, told)}
    if picture.signed:
        options |= {"colormap": signed_colours(0.0, 1.0), "contrast_limits": (-1.0, 1.0)}
    return prediction.grid.raster(picture.values, picture.title).values, options, "image"


def signed_colours(low: float, high: float) -> dict[str, Any]:
    """Return colours for values from -1 to 1: nothing up to a size of `low`, from `high` on in full, low < high."""
    alphas = 1.0, 1.0, 0.0, 0.0, 1.0, 1.0
    colours = [(*(_AGAINST if i < len(alphas) / 2 else _FOR), alpha) for i, alpha in enumerate(alphas)]
    controls = [0, (1 - high) / 2, (1 - low) / 2, (1 + low) / 2, (1 + high) / 2, 1]
    return {"colors": np.array(colours), "controls": controls, "name": "pathlupi-signed", "nan_color": (0, 0, 0, 0)}


def _heat(what: str, prediction: Prediction, mpp: Mpp | None) -> dict[str, Any]:
    return {
        "name": versioned_name(what, prediction),
        "colormap": {"colors": np.array(_ATTENTION_RGBA), "name": "pathlupi-attention", "nan_color": (0, 0, 0, 0)},
        "contrast_limits": (0.0, 1.0),
        "opacity": 0.7,
        "blending": "translucent_no_depth",
        "interpolation2d": "nearest",
        **placement(mpp, prediction.grid.stride_px0, prediction.grid.raster_origin_px0),
    }


def subtype_layer(prediction: Prediction, run: str, mpp: Mpp | None) -> LayerTuple | None:
    """Return which class each attended tile speaks for, or None without attention or classes to choose from.

    Tiles with no more attention than an even spread would give stay empty (our choice). ``features`` has one row per
    class; `LEGEND` says what the map is. Parameters are those of `attention_layer`.
    """
    names = prediction.evidence.names
    if prediction.attention is None or len(names) < 2 or not prediction.answer.exclusive:
        return None
    rows = {row.label: row for row in prediction.answer.rows()}
    colours: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    colours |= {i + 1: (rows[name].colour or "grey") if name in rows else "grey" for i, name in enumerate(names)}
    options = {
        "name": versioned_name("Subtypes", prediction),
        "colormap": colours,
        "features": subtype_features(prediction),
        "opacity": 0.6,
        "visible": False,
        "blending": "translucent_no_depth",
        "metadata": _result("subtypes", prediction, run, {"legend": LEGEND}),
        **placement(mpp, prediction.grid.stride_px0, prediction.grid.raster_origin_px0),
    }
    return subtype_raster(prediction), options, "labels"


def tissue_layer(mask: TissueMask, fingerprint: str, mpp: Mpp) -> LayerTuple:
    """Return what was taken for tissue and for what else; painted on, it is what a person takes for it."""
    options = {
        "name": "Tissue",
        "colormap": dict(_TISSUE_COLOURS),
        "features": pd.DataFrame({"index": np.arange(len(NAMES)), "class": NAMES}),
        "opacity": 0.4,
        "visible": False,
        "blending": "translucent_no_depth",
        "metadata": _ours("tissue", fingerprint, {STEP: mask.step_px0, "mask": mask}),
        **placement(mpp, mask.step_px0),
    }
    return mask.classes.copy(), options, "labels"


def regions_layer(fingerprint: str, mpp: Mpp | None) -> LayerTuple:
    """Return an empty layer for a person's regions; its data coordinates are level-0 pixels (y, x)."""
    options = {
        "name": "Regions",
        "ndim": 2,
        "features": pd.DataFrame({"name": pd.Series(dtype=object), "class": pd.Series(dtype=object)}),
        "feature_defaults": {"name": "", "class": "Region"},
        "edge_color": "#009e73",
        "face_color": [0.0, 0.0, 0.0, 0.0],
        "metadata": _ours("regions", fingerprint, {}),
        **placement(mpp),
        "translate": (0.0, 0.0),
    }
    return None, options, "shapes"


def placement(
    mpp: Mpp | None, step_px0: tuple[float, float] = (1.0, 1.0), origin_px0: tuple[float, float] = (0.0, 0.0)
) -> dict[str, Any]:
    """Return napari's scale, translate, units and axis labels for a raster.

    Parameters
    ----------
    mpp
        Size of a level-0 pixel; None shows the slide in pixels.
    step_px0
        Height and width of a cell of the raster in level-0 pixels.
    origin_px0
        Its top-left corner (y, x), level-0 pixels.
    """
    size = (mpp.y, mpp.x) if mpp else (1.0, 1.0)
    scale = step_px0[0] * size[0], step_px0[1] * size[1]
    unit = "um" if mpp else "pixel"
    return {
        "scale": scale,
        "translate": (scale[0] / 2 + origin_px0[0] * size[0], scale[1] / 2 + origin_px0[1] * size[1]),
        "units": (unit, unit),
        "axis_labels": ("y", "x"),
    }


def attention_raster(prediction: Prediction) -> Heatmap:
    """Return the percentile of attention, 0 to 1, on the raster of the grid."""
    return prediction.grid.raster(prediction.percentile, "percentile of attention among the tiles read")


def subtype_raster(prediction: Prediction) -> npt.NDArray[np.uint8]:
    """Return 1 + the class with most evidence for each tile with more attention than an even spread; 0 elsewhere."""
    grid, values = prediction.grid, prediction.evidence.values
    attended = np.nan_to_num(prediction.times_uniform) > 1
    shown = grid.take(attended)
    drawn = np.stack([shown.raster(values[attended, i], "").values for i in range(values.shape[1])])
    return np.where(np.isnan(drawn[0]), 0, np.argmax(drawn, axis=0) + 1).astype(np.uint8)


def subtype_features(prediction: Prediction) -> pd.DataFrame:
    """Return one row per class of the subtype map: its index there, its share of the slide's answer, its tiles."""
    names = prediction.evidence.names
    texts = {row.label: row.text for row in prediction.answer.rows()}
    counts = np.bincount(subtype_raster(prediction).ravel(), minlength=len(names) + 1)[1:]
    return pd.DataFrame(
        {
            "index": np.arange(len(names) + 1),
            "class": ["none", *names],
            "slide": ["", *(texts.get(name, "") for name in names)],
            "tiles": [0, *(int(count) for count in counts)],
            "note": ["", *[LEGEND] * len(names)],
        }
    )


def versioned_name(what: str, prediction: Prediction) -> str:
    """Return a layer name that tells runs apart: "Attention · Demo model · 14:02"."""
    return f"{what} · {prediction.provenance.model} · {prediction.provenance.clock}"


def _result(kind: str, prediction: Prediction, run: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    source = prediction.provenance
    told = {
        "run": run,
        "model": source.model,
        "model_digest": source.model_digest,
        "created": source.created,
        STEP: prediction.grid.stride_px0,
    }
    return _ours(kind, source.fingerprint, told | dict(more or {}))


def _ours(kind: str, fingerprint: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {KEY: {"version": 1, "kind": kind, "fingerprint": fingerprint, **more}}
