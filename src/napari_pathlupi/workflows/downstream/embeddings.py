"""Embeddings of slides or patients, from the files that people have."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.errors import FeaturesError, MismatchError, TableError
from napari_pathlupi.export.embedding import MADE_BY, OF_SLIDE
from napari_pathlupi.interchange import _h5
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.molecular.matrix import read_matrix
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.cases.cohort_table import CASE_COLUMNS, SLIDE_COLUMNS
from napari_pathlupi.workflows.prediction.features import is_store

Vector = npt.NDArray[np.float32]
_TABLES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq")


def read_embeddings(place: str | Path, encoder: str = "") -> Embeddings:
    """Return the embeddings in a folder, a feature store, an AnnData file or a table.

    * a folder of ``NAME.h5`` with the dataset ``features`` (Patho-Bench's pooled embeddings, TRIDENT's slide features),
      or of ``NAME.npy``; tiles in rows are averaged, and that is said: mean pooling of their patch encoder;
    * a feature store of ours: the mean of the tiles of each slide;
    * ``.h5ad``: one observation per slide or patient;
    * CSV, TSV or Parquet: names in the column case_id, id …, else the first of text (or the index), numbers in others.

    Parameters
    ----------
    place
        Where they lie.
    encoder
        Of a store that holds features of several patch encoders, which is meant.

    Raises
    ------
    FeaturesError
        When nothing there can be read as embeddings, or it is damaged.
    TableError
        When a table cannot be read; the message names the column.
    """
    path = Path(place)
    if is_store(place):
        return _of_store(str(place), encoder)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise FeaturesError(f"there are no embeddings at {place}: check the name.")
    if path.suffix == ".h5ad":
        return _of_anndata(path)
    if path.suffix.lower() in _TABLES:
        return _of_table(path)
    raise FeaturesError(
        f"{path.name} is no kind of embeddings that is known: give a folder of h5 files, a feature store, an h5ad "
        "file, or a CSV or Parquet table."
    )


def _of_folder(folder: Path) -> Embeddings:
    files = sorted(file for file in folder.iterdir() if file.suffix in (".h5", ".npy"))
    if not files:
        raise FeaturesError(f"the folder {folder} holds no embeddings: NAME.h5 or NAME.npy, one per slide or patient.")
    pooled: dict[str, Vector] = {}
    of_tiles = 0
    for file in files:
        if file.stem.removesuffix(OF_SLIDE) in pooled:
            raise FeaturesError(f"{folder.name} holds {file.stem} twice: keep one of them.")
        rows = _rows(file)
        if not rows.size:
            raise FeaturesError(f"{file.name} holds no vector: make it again, or take it out of the folder.")
        of_tiles += len(rows) > 1
        pooled[file.stem.removesuffix(OF_SLIDE)] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    found = replace(Embeddings.of(pooled, str(folder)), made_by=_made_by(files, folder.name))
    if not of_tiles:
        return found
    return replace(found, notes=(f"{of_tiles} of {len(files)} files hold tiles: their mean is taken.",))


def _made_by(files: Sequence[Path], name: str) -> str:
    """What the files of ours say that made them: all the same; "" where one says nothing."""
    told: set[str] = set()
    for file in files:
        if file.suffix != ".h5":
            return ""
        with _h5.opened(file) as stored:
            told.add(_h5.text(stored["features"].attrs.get(MADE_BY, "")))
    if len(told - {""}) > 1:
        raise MismatchError(f"{name} holds embeddings of several encoders ({', '.join(sorted(told))}): keep one.")
    return "" if len(told) != 1 else told.pop()


def _rows(file: Path) -> npt.NDArray[np.floating[Any]]:
    """(rows, dim) of a file: one row where it is a pooled embedding."""
    if file.suffix == ".npy":
        try:
            values = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FeaturesError(f"{file.name} cannot be read as numbers ({error}): make it again.") from error
    else:
        with _h5.opened(file) as stored:
            if "features" not in stored:
                raise FeaturesError(f"{file.name} has no dataset 'features', only {', '.join(stored) or 'nothing'}.")
            if stored["features"].ndim != 1:
                return _h5.matrix(stored, "features", file.name)
            values = stored["features"][()]
    if values.ndim not in (1, 2) or values.dtype.kind != "f":
        raise FeaturesError(f"{file.name} holds {values.dtype} of the shape {values.shape}, no vector of floats.")
    return np.atleast_2d(values)


def _of_store(place: str, encoder: str) -> Embeddings:
    stored = list(FeatureStore(place).stored())
    wanted = [bag for bag in stored if not encoder or bag.encoder.name == encoder_named(encoder)]
    encoders = sorted({str(bag.encoder) for bag in wanted})
    if len(encoders) != 1:
        known = ", ".join(sorted({bag.encoder.name for bag in stored})) or "nothing"
        raise FeaturesError(f"{place} holds features of {known}: name one patch encoder with --patch-encoder.")
    whole = [bag for bag in wanted if len(bag) and bag.done == len(bag)]
    vectors: dict[str, Vector] = {}
    for bag in whole:
        name = Path(bag.slide.name).stem
        if name in vectors:
            raise FeaturesError(f"{place} holds two slides called {name}: embed them apart.")
        vectors[name] = _mean(bag)
    notes = [f"The mean of the tiles of each slide, by {encoders[0]}."]
    if len(whole) < len(wanted):
        notes.append(f"{len(wanted) - len(whole)} of {len(wanted)} slides are not embedded to the end and left out.")
    return replace(Embeddings.of(vectors, place), notes=tuple(notes))


def _mean(bag: Any) -> Vector:
    parts = _parts(len(bag))
    total = sum(bag.rows(start, stop).sum(axis=0, dtype=np.float64) for start, stop in parts)
    return np.asarray(total / len(bag), dtype=np.float32)


def _parts(count: int, size: int = 8192) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, count)) for start in range(0, count, size))


def _of_anndata(path: Path) -> Embeddings:
    with _h5.opened(path) as file:
        if "uns/pathlupi" in file and "obsm/spatial" in file:
            raise FeaturesError(f"{path.name} holds the tiles of one slide: one observation per slide is needed.")
        if "X" not in file or not hasattr(file["X"], "shape"):
            raise FeaturesError(f"{path.name} has no dense X: store the embeddings there, one observation per slide.")
        vectors = _h5.matrix(file, "X", path.name)
        names = file["obs"][_h5.text(file["obs"].attrs.get("_index", "_index"))][()]
        made_by = _h5.text(file[f"uns/{MADE_BY}"][()]) if f"uns/{MADE_BY}" in file else ""
    return Embeddings(tuple(_h5.text(name) for name in names), vectors, path.name, made_by=made_by)


def _of_table(path: Path) -> Embeddings:
    matrix = read_matrix(path)
    names = {*CASE_COLUMNS, *SLIDE_COLUMNS}
    wrong = next((column for column in matrix.columns if column.lower() in names), "")
    if wrong:
        raise TableError(
            f"{path.name}, column {wrong}: its numbers would be taken as one of the embedding's; name the column "
            "case_id if they name the rows, and leave it out if not."
        )
    left_out = (f"Columns of text are left out: {', '.join(matrix.left_out)}.",) if matrix.left_out else ()
    return Embeddings(matrix.rows, matrix.values.astype(np.float32), path.name, left_out)
