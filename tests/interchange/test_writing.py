"""Out and in again: the same bag."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_files import vectors
from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.core.tissue import TISSUE, TissueMask
from napari_pathlupi.errors import MismatchError, OutputError
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.workflows.prediction.features import save_bag

MPP = Mpp(0.2525, 0.2525, "Aperio header")
SHAPE = (4000, 5200)


def a_bag() -> FeatureBag:
    """Tiles of 506.93 px, which no whole number describes."""
    classes = np.zeros((125, 163), np.uint8)
    classes[20:90, 30:120] = TISSUE
    grid = TileGrid.over(TissueMask(classes, (32.0, 32.0)), SHAPE, MPP, 256, 0.5)
    identity = EncoderIdentity("stain-texture", "1", 151, 256, 0.5)
    return FeatureBag(vectors(151, len(grid)), grid, identity, "f" * 32)


def assert_same(one: FeatureBag, other: FeatureBag) -> None:
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.grid.origins_px0, other.grid.origins_px0)
    np.testing.assert_array_equal(one.grid.coverage, other.grid.coverage)
    np.testing.assert_array_equal(one.grid.tissue_ids, other.grid.tissue_ids)
    assert one.grid.side_px0 == pytest.approx(other.grid.side_px0, rel=1e-12)
    assert one.grid.stride_px0 == pytest.approx(other.grid.stride_px0, rel=1e-6)
    assert (one.encoder, one.fingerprint, one.grid.slide_mpp) == (
        other.encoder,
        other.fingerprint,
        other.grid.slide_mpp,
    )


@pytest.mark.parametrize(("name", "suffix"), [("trident", ".h5"), ("anndata", ".h5ad")])
def test_what_is_written_is_read_as_the_same_bag_with_and_without_its_slide(name, suffix, tmp_path: Path):
    bag = a_bag()
    path = save_bag(bag, tmp_path / f"case{suffix}", name)
    assert_same(read_bag(path), bag)
    again = read_bag(path, SlideFrame(SHAPE, MPP), fingerprint=bag.fingerprint)
    assert_same(again, bag)
    assert again.notes == ()
    with pytest.raises(MismatchError, match="made from another slide"):
        read_bag(path, SlideFrame(SHAPE, MPP), fingerprint="0" * 32)
    assert_same(read_bag(save_bag(again, tmp_path / f"again{suffix}", name)), bag)


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path):
    save_bag(a_bag(), tmp_path / "case.h5", "trident")
    with pytest.raises(OutputError, match="is not overwritten"):
        save_bag(a_bag(), tmp_path / "case.h5", "trident")
    with pytest.raises(OutputError, match="cannot write"):
        save_bag(a_bag(), tmp_path / "absent/case.h5", "trident")
    assert [file.name for file in tmp_path.iterdir()] == ["case.h5"]


def test_trident_finds_its_own_names(tmp_path: Path):
    bag = a_bag()
    with h5py.File(save_bag(bag, tmp_path / "case.h5", "trident")) as file:
        at = dict(file["coords"].attrs)
        assert file["features"].attrs["encoder"] == "stain-texture"
        assert file["coords"].dtype == np.int64
        np.testing.assert_array_equal(file["coords"], np.rint(bag.grid.origins_px0[:, ::-1]))
    assert (at["patch_size"], at["patch_size_level0"], at["overlap"], at["name"]) == (256, 507, 0, "case")
    assert (at["level0_magnification"], at["target_magnification"]) == (40, 20)


def test_anndata_holds_places_and_centres_as_squidpy_reads_them(tmp_path: Path):
    import anndata

    bag = a_bag()
    table = anndata.read_h5ad(save_bag(bag, tmp_path / "case.h5ad", "anndata"))
    np.testing.assert_array_equal(table.X, bag.features)
    np.testing.assert_allclose(table.obsm["spatial"], (bag.grid.origins_px0 + np.array(bag.grid.side_px0) / 2)[:, ::-1])
    assert {"x", "y", "width", "height", "coverage"} <= set(table.obs)
    assert list(table.uns["spatial"]) == ["case"]
