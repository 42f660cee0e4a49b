"""Small results made by hand, for tests of what shows and writes them."""

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.answers import ClassProbabilities
from napari_pathlupi.core.embeddings import SlideEmbedding
from napari_pathlupi.core.geometry import Mpp, Region, SlideFrame
from napari_pathlupi.core.results import Evidence, Prediction, Provenance, ReferenceCheck
from napari_pathlupi.core.tiles import TileGrid

SLIDE_MPP = Mpp(0.25, 0.26, "Aperio header")
FRAME = SlideFrame((2100, 2500), SLIDE_MPP)
BOUNDED_FRAME = SlideFrame((2100, 2500), SLIDE_MPP, Region((120.0, 75.0), (1900.0, 2200.0)))


def a_grid(rows: int = 5, columns: int = 6) -> TileGrid:
    """Every cell of a raster whose last row and column hang over the edge of `FRAME`."""
    cells = np.argwhere(np.ones((rows, columns), dtype=np.bool_)).astype(np.int64)
    stride = 224 * 0.5 / SLIDE_MPP.y, 224 * 0.5 / SLIDE_MPP.x
    share = np.linspace(0.5, 1, len(cells), dtype=np.float32)
    return TileGrid(cells * np.array(stride), 224, 0.5, SLIDE_MPP, share, stride, (rows, columns))


def a_prediction(weights: npt.ArrayLike | None = None, *, supported: bool = True) -> Prediction:
    """What a model of two classes says; ``weights`` (rows, columns) in proportion to attention, NaN where not read.

    By default a ring of attention around a dim tile, and one tile that was not read.
    """
    if weights is None:
        weights = np.ones((5, 6))
        weights[1:4, 1:4] = 9.0
        weights[2, 2] = 1.0
        weights[0, 0] = np.nan
    values = np.asarray(weights, dtype=np.float32)
    grid = a_grid(*values.shape)
    attention = (values / np.nansum(values)).ravel()
    evidence = np.stack([attention * 2, -attention], axis=1)
    provenance = Provenance(
        slide_name="case <17> & co.svs",
        fingerprint="0" * 32,
        slide_mpp=(SLIDE_MPP.y, SLIDE_MPP.x),
        slide_mpp_source=SLIDE_MPP.source,
        model="Demo model",
        model_digest="sha256:5f0c",
        patch_encoder="stain-texture (1) on 224 px at 0.5 µm/px",
        slide_encoder="pathlupi",
        device="CPU",
        created="2026-01-02T14:02:00+00:00",
        versions={"napari-pathlupi": "0.1.0", "torch": "2.13.0"},
        settings={"min_coverage": 0.5, "regions": ()},
    )
    return Prediction(
        ClassProbabilities(("Demo A", "Demo <B>"), (0.18, 0.82), ("#0072b2", "#e69f00")),
        grid,
        attention,
        Evidence(("Demo A", "Demo <B>"), evidence, "exact share of the logit"),
        ReferenceCheck(1.2 if supported else 9.1, 1.9),
        provenance,
        {"HALLMARK_HYPOXIA": 0.7, "HALLMARK_E2F_TARGETS": float("nan"), "HALLMARK_ANGIOGENESIS": -0.2},
        ("1 of 30 tiles could not be decoded: left out and marked.",),
        embedding=SlideEmbedding(np.arange(4, dtype=np.float32), "abmil 0123456789ab on stain-texture"),
    )
