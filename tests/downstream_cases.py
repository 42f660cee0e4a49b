"""The made-up patients as cases of the protocols, and what a report says of them."""

from pathlib import Path

import numpy as np

from downstream_data import NAMES, VECTORS, write_labels
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.folds import Folds
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.downstream import Report
from napari_pathlupi.workflows.downstream.task import DownstreamTask

KIND = Endpoint.classification("kind", ("luminal", "basal", "her2"))
OS = Endpoint.survival("OS_days", event="OS_event")
FEW = ProbeSettings(folds=3, resamples=100)
EMBEDDINGS = Embeddings(tuple(NAMES), VECTORS, "made up")


def cases_of(folder: Path, endpoint: Endpoint = KIND, embeddings: Embeddings = EMBEDDINGS) -> DownstreamCases:
    table = folder / "labels.csv"
    return DownstreamTask("t", str(table if table.exists() else write_labels(table)), endpoint).cases(embeddings)[0]


def values_of(report: Report) -> dict[str, float]:
    return {f"{row.metric} {row.setting}".strip(): row.figure.value for row in report.scores}


def split_of(roles: np.ndarray) -> Folds:
    return Folds(tuple(NAMES), roles.astype(np.int8), "made by hand")


THIRDS = split_of(np.stack([np.where(np.arange(len(NAMES)) // 3 % 3 == k, 3, 1) for k in range(3)], axis=1))
