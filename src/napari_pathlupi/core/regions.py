"""Outlined parts of a slide: drawn by a person, read from a file, or found by a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.core.results import Prediction

Colour = tuple[int, int, int]
ObjectType = Literal["annotation", "tile", "detection"]

DEFAULT_COLOUR: Colour = (255, 0, 0)
"""Red, in which QuPath draws what has no colour of its own."""

HIGH_ATTENTION = 0.9
"""Percentile from which attention is called high: the top tenth of the tiles. Our choice."""
NO_REGION = "No tile has more than an even share of the attention and is above it."
"""Said where no region was found."""

HIGH_ATTENTION_COLOUR: Colour = (255, 176, 0)
"""Amber, which stands out on pink and purple and is told apart by the colour-blind. Our choice."""

_KINDS = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedRegion:
    """One outlined part of a slide, with what is known of it.

    Parameters
    ----------
    geometry
        Point, line or polygon, or several of one kind, in level-0 pixels. **(x, y)**, the one place inside the
        project that is not (y, x), because shapely means it so.
    name
        What the user calls it.
    classification
        Its class; the parts of a derived class are joined by ``": "``. Empty for none.
    colour
        Red, green, blue, 0 to 255.
    measurements
        Numbers by name; NaN and infinity allowed.
    metadata
        Words by name.
    identity
        UUID by which other software recognises it.
    object_type
        "annotation" for what a person may edit, "tile" for patches, "detection" for points and cells.
    locked
        Whether other software should keep it from being edited.
    is_ellipse
        Whether the polygon stands for the ellipse in its bounding box.

    Raises
    ------
    ValueError
        When the geometry is empty, not finite or a mixture, or the identity is no UUID.
    """

    geometry: BaseGeometry
    name: str = ""
    classification: str = ""
    colour: Colour = DEFAULT_COLOUR
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    identity: str = field(default_factory=lambda: str(uuid4()))
    object_type: ObjectType = "annotation"
    locked: bool = False
    is_ellipse: bool = False

    def __post_init__(self) -> None:
        if self.geometry.geom_type not in _KINDS:
            raise ValueError(f"a region is one of {', '.join(sorted(_KINDS))}, got {self.geometry.geom_type}")
        if not np.isfinite(self.geometry.bounds).all():
            raise ValueError("a region needs finite coordinates and at least one of them")
        UUID(self.identity)

    def area_um2(self, mpp: Mpp) -> float:
        """Return its area in µm²; 0 for points and lines."""
        return float(self.geometry.area) * mpp.y * mpp.x


def high_attention_regions(
    prediction: Prediction, frame: SlideFrame, threshold: float = HIGH_ATTENTION
) -> list[AnnotatedRegion]:
    """Return the neighbouring tiles that the model looked at most, merged into polygons, most attention first.

    A tile counts when its percentile reaches the threshold *and* its attention is above an even spread, so that an
    encoder which looks everywhere alike gives no regions. Tiles that share an edge are one region, holes are kept, and
    nothing reaches beyond the slide. Our choice throughout.

    Parameters
    ----------
    prediction
        What the model said, with its attention.
    frame
        The slide.
    threshold
        Attention percentile, 0 to 1.

    Returns
    -------
    list of AnnotatedRegion
        Each with its share of the attention, mean percentile, area in µm², number of tiles, summed evidence, and the
        numbers of the slide's answer. Its identity depends only on the slide, the model and the outline, so that
        exporting twice gives the same file.
    """
    percentile, attention = prediction.percentile, prediction.attention
    if attention is None:
        return []
    chosen = np.flatnonzero((percentile >= threshold) & (prediction.times_uniform > 1))
    found = _merged(prediction.grid.cells, chosen)
    found.sort(key=lambda pair: -float(attention[pair[1]].sum()))
    grid = prediction.grid
    step_xy, origin_xy = np.array(grid.stride_px0[::-1]), np.array(grid.raster_origin_px0[::-1])
    slide = shapely.box(0, 0, frame.shape_px0[1], frame.shape_px0[0])
    regions = []
    for rank, (shape, tiles) in enumerate(found, start=1):
        placed = shapely.intersection(shapely.transform(shape, lambda xy: xy * step_xy + origin_xy), slide)
        measured = _measured(prediction, tiles, percentile, attention)
        regions.append(_high_attention_region(prediction, placed, measured, rank))
    return regions


def _merged(
    cells: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]
) -> list[tuple[BaseGeometry, npt.NDArray[np.int64]]]:
    """Polygons around neighbours and the tiles in each; in whole cells, so that no sliver can arise from rounding."""
    rows, columns = cells[chosen].T
    squares = shapely.box(columns, rows, columns + 1, rows + 1)
    outlines = shapely.get_parts(shapely.simplify(shapely.union_all(squares), 0))
    tile, outline = shapely.STRtree(outlines).query(shapely.centroid(squares), predicate="within")
    return [(shape, chosen[tile[outline == index]]) for index, shape in enumerate(outlines)]


def _measured(
    prediction: Prediction,
    tiles: npt.NDArray[np.int64],
    percentile: npt.NDArray[np.float32],
    attention: npt.NDArray[np.float32],
) -> dict[str, float]:
    evidence = prediction.evidence
    sums = evidence.values[tiles].sum(axis=0, dtype=np.float64)
    return {
        "Attention (mean percentile)": float(percentile[tiles].mean()),
        "Attention (share)": float(attention[tiles].sum(dtype=np.float64)),
        "Tiles": float(len(tiles)),
        **{f"Evidence (sum): {name}": float(total) for name, total in zip(evidence.names, sums, strict=True)},
        **{f"Slide: {name}": value for name, value in prediction.answer.numbers().items()},
    }


def _high_attention_region(
    prediction: Prediction, geometry: BaseGeometry, measured: Mapping[str, float], rank: int
) -> AnnotatedRegion:
    provenance, mpp = prediction.provenance, prediction.grid.slide_mpp
    return AnnotatedRegion(
        geometry,
        name=f"High attention {rank}",
        classification="High attention",
        colour=HIGH_ATTENTION_COLOUR,
        measurements={**measured, "Area µm^2": float(geometry.area) * mpp.y * mpp.x},
        identity=str(uuid5(NAMESPACE_OID, f"{provenance.fingerprint} {provenance.model_digest} {geometry.wkt}")),
    )
