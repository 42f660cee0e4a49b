"""The slide as a vector, laid out as TRIDENT's slide features and Patho-Bench's pooled embeddings are."""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import write_whole

MADE_BY = "made_by"
"""Attribute of ``features`` that says which encoder made it; ours, others leave it out."""
OF_SLIDE = ".embedding"
"""Stands between the slide's name and ``.h5``, and is no part of the name."""


def embedding_bytes(vector: npt.NDArray[np.float32], made_by: str) -> bytes:
    """Return a file of one vector: dataset ``features`` (dim,) float32 with the attribute `MADE_BY`."""
    import h5py

    content = BytesIO()
    with h5py.File(content, "w") as file:
        file["features"] = vector
        file["features"].attrs[MADE_BY] = made_by
    return content.getvalue()


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    if prediction.embedding is None:
        raise OutputError(f"there is no embedding to write to {path.name}: the model classifies tiles one by one.")
    write_whole(path, embedding_bytes(prediction.embedding.vector, prediction.embedding.made_by))


EXPORT = Export(
    "Slide embedding",
    f"{OF_SLIDE}.h5",
    _write,
    fits=lambda made: made.embedding is not None and not made.partial,
)
