"""TRIDENT's magnification in place of a scale that nobody knows, where it is asked for."""

import h5py
import pytest

import feature_files as made
from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.errors import SettingsError, UnstatedError
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.interchange._told import Stated

FRAME = SlideFrame((3600, 4000), Mpp(0.25, 0.25, "Aperio header"))


def test_a_cohort_of_slides_of_20x_and_40x_is_of_one_scale_where_the_nominal_one_is_asked_for(tmp_path):
    path = made.trident(tmp_path)
    with h5py.File(path, "r+") as file:
        file["coords"].attrs["level0_magnification"] = 40
    at_40x = read_bag(path, None, Stated(scale="nominal"))
    with h5py.File(path, "r+") as file:
        file["coords"].attrs.update({"level0_magnification": 20, "patch_size_level0": 256})
    at_20x = read_bag(path, None, Stated(scale="nominal", mpp=0.25))
    assert at_20x.encoder == at_40x.encoder and (at_20x.grid.slide_mpp.mean, at_40x.grid.slide_mpp.mean) == (0.5, 0.25)
    assert at_20x.grid.slide_mpp.source == "TRIDENT took the slide for 20x"
    assert read_bag(path, FRAME, Stated(scale="nominal")).grid.slide_mpp == FRAME.mpp
    with pytest.raises(SettingsError, match="'exact' is not known"):
        read_bag(path, None, Stated(scale="exact"))
    with pytest.raises(UnstatedError, match="--scale nominal for the 20x"):
        read_bag(path, None)
