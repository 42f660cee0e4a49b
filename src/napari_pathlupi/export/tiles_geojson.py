"""Every tile as an object of QuPath with its numbers; large, so it is written only when asked for."""

from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import shapely

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export._export import Export
from napari_pathlupi.export.geojson import write_regions


def tiles(prediction: Prediction) -> Iterator[AnnotatedRegion]:
    """Yield each tile that was read: a locked tile object, as WSInfer writes them.

    Its measurements are ``prob_…`` for each class where tiles were classified; otherwise its attention and evidence,
    and what the model claims of each gene set that was asked for.
    """
    grid, evidence = prediction.grid, prediction.evidence
    prefix = "prob_" if prediction.classifies_tiles else "Evidence: "
    names = [f"{prefix}{name}" for name in evidence.names]
    seed = f"{prediction.provenance.fingerprint} {prediction.provenance.model_digest}"
    (height, width), origins, percentile = grid.side_px0, grid.origins_px0, prediction.percentile
    claimed = prediction.gene_sets.maps if prediction.gene_sets else {}
    for index in np.flatnonzero(prediction.read):
        top, left = origins[index]
        measured = {name: float(value) for name, value in zip(names, evidence.values[index], strict=True)}
        if prediction.attention is not None:
            measured["Attention (percentile)"] = float(percentile[index])
        measured |= {f"Claimed: {name}": float(made.values[index]) for name, made in claimed.items()}
        yield AnnotatedRegion(
            shapely.box(left, top, left + width, top + height),
            measurements=measured,
            identity=str(uuid5(NAMESPACE_OID, f"{seed} {index}")),
            object_type="tile",
            locked=True,
        )


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    write_regions(path, tiles(prediction), frame)


EXPORT = Export("Tiles for QuPath", ".tiles.geojson", _write, asked_for=True)
