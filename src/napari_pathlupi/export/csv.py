"""Every tile as a row of a plain CSV table."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import write_whole

if TYPE_CHECKING:
    import pandas as pd


def wsinfer_table(prediction: Prediction) -> "pd.DataFrame":
    """Return one row per tile that was read, as WSInfer writes them.

    ``minx``, ``miny``, ``width``, ``height``: its square in level-0 pixels, rounded to whole ones as there; ``prob_…``:
    the probability of each class.
    """
    import pandas as pd

    grid, read = prediction.grid, prediction.read
    origins = np.rint(grid.origins_px0[read]).astype(np.int64)
    height, width = (round(side) for side in grid.side_px0)
    table = pd.DataFrame({"minx": origins[:, 1], "miny": origins[:, 0], "width": width, "height": height})
    values = prediction.evidence.values[read]
    return table.assign(**{f"prob_{name}": values[:, i] for i, name in enumerate(prediction.evidence.names)})


def tile_table(prediction: Prediction) -> "pd.DataFrame":
    """Return one row per tile, in reading order.

    ``x_px0``, ``y_px0``, ``width_px0``, ``height_px0``: its square in level-0 pixels from the top-left corner of the
    file (not of its declared bounds). ``row``, ``column``: its cell in the raster. ``coverage``: share of tissue.
    ``tissue_id``: the piece of tissue, from 1; missing where nobody looked.
    ``attention``: share of the model's attention. ``attention_percentile``: share of the tiles read that have no more
    attention. ``attention_times_uniform``: attention in units of an even spread. ``attention_head 1`` …: share of the
    attention of that head, where there are several. ``evidence_…``: one per class.
    ``gene_set_…``: what the model claims of each gene set that was asked for, an exact share of its activity or of the
    attention of its token. All are missing where the tile was not read; a model without attention has no such columns.
    """
    import pandas as pd

    grid = prediction.grid
    height, width = grid.side_px0
    table = pd.DataFrame(
        {
            "x_px0": grid.origins_px0[:, 1],
            "y_px0": grid.origins_px0[:, 0],
            "width_px0": width,
            "height_px0": height,
            "row": grid.cells[:, 0],
            "column": grid.cells[:, 1],
            "tissue_id": grid.tissue_ids if grid.tissue_ids is not None else np.nan,
            "coverage": grid.coverage,
        }
    )
    if prediction.attention is not None:
        table["attention"] = prediction.attention
        table["attention_percentile"] = prediction.percentile
        table["attention_times_uniform"] = prediction.times_uniform
        table = table.assign(**{f"attention_{name}": shares for name, shares in prediction.heads.items()})
    values = np.where(prediction.read[:, None], prediction.evidence.values, np.float32(np.nan))
    table = table.assign(**{f"evidence_{name}": values[:, i] for i, name in enumerate(prediction.evidence.names)})
    claimed = prediction.gene_sets.maps if prediction.gene_sets else {}
    return table.assign(**{f"gene_set_{name}": made.values for name, made in claimed.items()})


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    table = wsinfer_table(prediction) if prediction.classifies_tiles else tile_table(prediction)
    write_whole(path, table.to_csv(index=False, lineterminator="\n"))


EXPORT = Export("Tiles as a table", ".csv", _write)
