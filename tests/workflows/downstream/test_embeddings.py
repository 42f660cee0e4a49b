"""Embeddings from every kind of file, the same numbers each time; what is wrong told in one sentence."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from downstream_data import DIM, NAMES, VECTORS, write_pooled, write_rows
from handmade import a_grid
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import FeaturesError, MismatchError, TableError
from napari_pathlupi.store import FeatureStore, SlideFacts
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings


def _table(folder: Path) -> Path:
    return write_rows(folder / "e.csv", ["id", *range(DIM)], [[n, *v] for n, v in zip(NAMES, VECTORS, strict=True)])


def _excel(folder: Path) -> Path:
    rows = [[n, *(str(x).replace(".", ",") for x in v.astype(float))] for n, v in zip(NAMES, VECTORS, strict=True)]
    return write_rows(folder / "excel.csv", ["case_id", *range(DIM)], rows, ";")


def _parquet(folder: Path) -> Path:
    frame = pd.DataFrame(VECTORS, index=pd.Index(NAMES, name="case_id"), columns=[f"f{i}" for i in range(DIM)])
    frame.to_parquet(folder / "e.parquet")
    return folder / "e.parquet"


def _h5ad(folder: Path) -> Path:
    anndata = pytest.importorskip("anndata", reason="needs the extra 'anndata'")
    anndata.AnnData(X=VECTORS, obs=pd.DataFrame(index=NAMES)).write_h5ad(folder / "e.h5ad")
    return folder / "e.h5ad"


def _rows_of_one(folder: Path) -> Path:
    return write_pooled(folder / "rows", vectors=VECTORS[:, None, :])


def _half(folder: Path) -> Path:
    (folder / "npy").mkdir()
    for name, vector in zip(NAMES, VECTORS, strict=True):
        np.save(folder / "npy" / f"{name}.npy", vector)
    return folder / "npy"


@pytest.mark.parametrize(
    "write", [lambda folder: write_pooled(folder / "h5"), _rows_of_one, _half, _table, _excel, _parquet, _h5ad]
)
def test_every_file_gives_the_same_names_and_numbers(write, tmp_path: Path) -> None:
    found = read_embeddings(write(tmp_path))
    assert list(found.names) == NAMES
    np.testing.assert_allclose(found.vectors, VECTORS, rtol=1e-6)
    assert found.vectors.dtype == np.float32


def test_tiles_are_averaged_and_that_is_said(tmp_path: Path) -> None:
    tiles = np.random.default_rng(0).normal(size=(7, DIM)).astype(np.float16)
    write_pooled(tmp_path, ["slide"], tiles[None])
    found = read_embeddings(tmp_path)
    np.testing.assert_allclose(found.vectors[0], tiles.astype(np.float64).mean(axis=0), rtol=1e-6)
    assert "1 of 1 files hold tiles" in found.notes[0]


def test_a_store_of_ours_gives_the_mean_of_each_whole_slide_and_leaves_out_begun_ones(tmp_path: Path) -> None:
    encoder, grid = EncoderIdentity("unit", "1", DIM, 64, 0.5), a_grid(6, 10)
    for place, (name, rows) in enumerate([("a.svs", 60), ("b.svs", 60), ("begun.svs", 20)]):
        facts = SlideFacts(name, f"{place}" * 32, (0.25, 0.25), "header")
        with FeatureStore(tmp_path / "store").writer(facts, grid, encoder) as writer:
            writer.append(np.tile(VECTORS[place], (rows, 1)))
    found = read_embeddings(tmp_path / "store")
    assert found.names == ("a", "b")
    np.testing.assert_allclose(found.vectors, VECTORS[:2], rtol=1e-6)
    assert any("1 of 3 slides are not embedded to the end" in note for note in found.notes)


def test_a_store_of_several_encoders_asks_which(tmp_path: Path) -> None:
    for encoder in ("one", "two"):
        facts = SlideFacts("a.svs", "0" * 32, (0.25, 0.25), "header")
        identity = EncoderIdentity(encoder, "1", DIM, 64, 0.5)
        with FeatureStore(tmp_path).writer(facts, a_grid(1, 2), identity) as writer:
            writer.append(VECTORS[:2])
    with pytest.raises(FeaturesError, match="features of one, two: name one patch encoder"):
        read_embeddings(tmp_path)
    assert len(read_embeddings(tmp_path, "two")) == 1


def _broken(folder: Path) -> Path:
    (folder / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\nnonsense")
    return folder


def _other_dataset(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["feats"] = VECTORS
    return folder


def _other_length(folder: Path) -> Path:
    write_pooled(folder, ["a"], VECTORS[:1])
    return write_pooled(folder, ["b"], VECTORS[:1, :3])


def _not_finite(folder: Path) -> Path:
    return write_pooled(folder, ["a", "b"], np.array([[1, 2], [np.nan, 3]]))


def _twice(folder: Path) -> Path:
    return write_rows(folder / "e.csv", ["id", "f0", "f1"], [["a", 1, 2], ["a", 3, 4]])


def _numbered(folder: Path) -> Path:
    return write_rows(folder / "e.csv", ["what", "slide_id", "f1"], [["x", 1, 2], ["y", 3, 4]])


def _slide_file(folder: Path) -> Path:
    (folder / "x.svs").write_bytes(b"II")
    return folder / "x.svs"


@pytest.mark.parametrize(
    ("write", "error", "words"),
    [
        (lambda folder: folder / "absent", FeaturesError, "there are no embeddings at"),
        (lambda folder: folder, FeaturesError, "holds no embeddings"),
        (_broken, FeaturesError, "cannot be read as HDF5"),
        (_other_dataset, FeaturesError, "no dataset 'features', only feats"),
        (_other_length, MismatchError, "a has 6 numbers and that of b 3"),
        (_not_finite, FeaturesError, "1 of 2 vectors hold numbers that are not finite, the first that of b"),
        (_twice, FeaturesError, "a is there twice"),
        (_numbered, TableError, "column slide_id"),
        (_slide_file, FeaturesError, "no kind of embeddings"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(write, error, words: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        read_embeddings(write(tmp_path))
