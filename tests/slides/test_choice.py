"""Focal planes and scenes: what a file offers, and what is read of it."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foreign_slides import write_ome_zarr
from napari_pathlupi import open_slide
from napari_pathlupi.errors import SettingsError, SlideError
from napari_pathlupi.slides._choice import Choice, Offer, Scene
from stacks import PLANES, write_ndpi_stack, write_ome_scenes, write_scn, write_svs_stack

STACKS: list[tuple[Callable[[Path], Path], str, tuple[float | None, ...]]] = [
    (write_ndpi_stack, ".ndpi", (-2.0, 0.0, 2.0)),
    (write_svs_stack, ".svs", (None, None, None)),
]


@pytest.mark.parametrize(("write", "suffix", "depths"), STACKS)
def test_each_focal_plane_is_read_at_every_level_and_has_its_depth(write, suffix, depths, tmp_path: Path) -> None:
    path = write(tmp_path / f"stack{suffix}")
    for index, plane in enumerate(PLANES):
        slide = open_slide(path, plane=index)
        assert slide.offer.planes_um == depths
        for number, level in enumerate(slide.levels):
            step = int(level.downsample)
            assert (
                slide.read_level(number, (0, 0), level.shape_px) == plane[::step, ::step][: level.shape_px[0]]
            ).all()


def test_scenes_of_ome_tiff_have_their_planes_levels_and_scale_and_hide_the_macro_image(tmp_path: Path) -> None:
    path = write_ome_scenes(tmp_path / "scenes.ome.tif")
    first = open_slide(path)
    assert first.offer.scenes == (Scene("Tissue A", (180, 300)), Scene("Tissue B", (160, 300)))
    assert first.offer.planes_um == (0.0, 1.5, 3.0)
    assert (first.mpp.y, open_slide(path, scene=1).mpp.y) == (0.5, 0.75)
    for scene, height in enumerate((180, 160)):
        for plane, picture in enumerate(PLANES):
            slide = open_slide(path, scene=scene, plane=plane)
            expected = picture[:height] + np.uint8(scene + 1)
            assert (slide.read_level(0, (0, 0), (height, 300)) == expected).all()
            assert (slide.read_level(1, (0, 0), (height // 2, 150)) == expected[::2, ::2]).all()


def test_regions_of_a_leica_collection_are_scenes_and_the_whole_glass_is_none(tmp_path: Path) -> None:
    path = write_scn(tmp_path / "regions.scn")
    assert [scene.name for scene in open_slide(path).offer.scenes] == ["image_2", "image_1"]  # the largest first
    assert (open_slide(path, scene=1).read_level(0, (0, 0), (150, 200)) == PLANES[1][:150, :200]).all()


def test_planes_of_ome_zarr_have_the_depth_of_their_unit(tmp_path: Path) -> None:
    import zarr

    folder = write_ome_zarr(tmp_path / "a.zarr", [PLANES[0]], axes="czyx", units=("micrometer", "micrometer"))
    group = zarr.open_group(str(folder))
    stack = np.stack([plane.transpose(2, 0, 1) for plane in PLANES], axis=1)
    del group["0"]
    group.create_array("0", shape=stack.shape, chunks=(3, 1, 64, 64), dtype="uint8")[:] = stack
    for plane, picture in enumerate(PLANES):
        slide = open_slide(folder, plane=plane)
        assert (slide.read_level(0, (0, 0), (200, 300)) == picture).all()
    assert slide.offer.planes_um == (None, None, None)  # the z axis has no unit
    scales = dict(group.attrs["multiscales"][0])
    scales["axes"][1]["unit"] = "nanometer"
    scales["datasets"][0]["coordinateTransformations"][0]["scale"][1] = 500.0
    group.attrs["multiscales"] = [scales]
    assert open_slide(folder).offer.planes_um == (0.0, 0.5, 1.0)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_numbered_pictures_of_an_ome_zarr_folder_are_scenes(version: str, tmp_path: Path) -> None:
    import zarr

    zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2 if version == "0.4" else 3)
    for index, plane in enumerate(PLANES):
        write_ome_zarr(tmp_path / "a.zarr" / str(index), [plane[: 200 - 10 * index]], version=version)
    slide = open_slide(tmp_path / "a.zarr", scene=2)
    assert [scene.shape_px0 for scene in slide.offer.scenes] == [(200, 300), (190, 300), (180, 300)]
    assert (slide.read_level(0, (0, 0), (180, 300)) == PLANES[2][:180]).all()


def test_another_choice_is_another_content_and_keeps_its_tiles_apart(tmp_path: Path) -> None:
    path = write_ome_scenes(tmp_path / "scenes.ome.tif")
    slides = [open_slide(path, plane=plane, scene=scene) for plane in range(3) for scene in range(2)]
    pictures = [slide.read_level(0, (0, 0), (160, 300)).tobytes() for slide in slides for _ in range(2)]
    assert len({slide.fingerprint for slide in slides}) == len(set(pictures)) == 6
    assert open_slide(path, plane=2).fingerprint == open_slide(path, plane=2).fingerprint


def test_a_choice_is_pickled_with_the_path(tmp_path: Path) -> None:
    slide = open_slide(write_ome_scenes(tmp_path / "scenes.ome.tif"), scene=1, plane=2)
    again = pickle.loads(pickle.dumps(slide))
    assert (again.choice, again.fingerprint, again.mpp) == (Choice(2, 1), slide.fingerprint, slide.mpp)
    assert (again.read_level(0, (9, 9), (50, 50)) == slide.read_level(0, (9, 9), (50, 50))).all()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"plane": 3}, r"has no focal plane 3: it holds 0 \(0 µm\), 1 \(1\.5 µm\), 2 \(3 µm\)\.$"),
        ({"plane": -1}, "has no focal plane -1"),
        ({"scene": 2}, r"has no scene 2: it holds 0 \(Tissue A, 300 × 180 px\), 1 \(Tissue B, 300 × 160 px\)\.$"),
        ({"colour": "srgb"}, "has no colour profile"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(choice: dict[str, int], words: str, tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=rf"^scenes\.ome\.tif {words}"):
        open_slide(write_ome_scenes(tmp_path / "scenes.ome.tif"), **choice)


def test_a_long_list_is_cut_short() -> None:
    with pytest.raises(SlideError, match=r"10, 11 and so on up to 39\.$"):
        Offer((Scene("", (1, 1)),), (None,) * 40).must_hold(Choice(plane=40), "stack.tif")


def test_colours_that_are_not_known_are_told() -> None:
    with pytest.raises(SettingsError, match="'as stored' or 'srgb'"):
        Choice(colour="vivid")
