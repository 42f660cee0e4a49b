"""Embeddings and labels of made-up patients on disk, in which three classes and a survival can be told."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

PATIENTS, DIM = 60, 6
_RNG = np.random.default_rng(7)
CLASSES = np.arange(PATIENTS) % 3
VECTORS = (_RNG.normal(size=(PATIENTS, DIM)) + 2.5 * np.eye(3, DIM)[CLASSES]).astype(np.float32)
TIMES = _RNG.exponential(np.exp(1 - VECTORS[:, 0])) * 200 + 1
EVENTS = _RNG.random(PATIENTS) < 0.75
NAMES = [f"patient-{number:02}" for number in range(PATIENTS)]
KINDS = [("luminal", "basal", "her2")[index] for index in CLASSES]


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    return path


def write_labels(path: Path) -> Path:
    rows = zip(NAMES, KINDS, TIMES.round(1), EVENTS.astype(int), strict=True)
    return write_rows(path, ["case_id", "kind", "OS_days", "OS_event"], rows)


def write_pooled(folder: Path, names: Sequence[str] = NAMES, vectors: np.ndarray = VECTORS) -> Path:
    """Patho-Bench's pooled embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, vector in zip(names, vectors, strict=True):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["features"] = vector
    return folder


def write_task(root: Path, source: str = "nadt", task: str = "response", survival: bool = False) -> Path:
    """A task of Patho-Bench with two slides per patient and three folds."""
    folder = root / source / task
    extra = [f"{task}_event", f"{task}_days"] if survival else []
    rows = []
    for number, name in enumerate(NAMES):
        folds = ["test" if number // 3 % 3 == fold else "train" for fold in range(3)]
        label = [int(number % 8), int(EVENTS[number]), round(TIMES[number])] if survival else [int(CLASSES[number])]
        rows += [[name, f"{name}-{slide}", *label, *folds] for slide in "AB"]
    write_rows(folder / "k=all.tsv", ["case_id", "slide_id", task, *extra, "fold_0", "fold_1", "fold_2"], rows, "\t")
    kind = "survival" if survival else "classification"
    named = "" if survival else "label_dict:\n  0: luminal\n  1: basal\n  2: her2\n"
    (folder / "config.yaml").write_text(
        f"task_col: {task}\nextra_cols: []\ntask_type: {kind}\nmetrics: [{'cindex' if survival else 'macro-ovr-auc'}]\n"
        f"{named}sample_col: case_id\nnum_samples: {PATIENTS}\n"
    )
    return folder
