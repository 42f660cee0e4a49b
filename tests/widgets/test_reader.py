import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from napari.layers import Image, Layer

from addressed import addresses
from foreign_slides import write_dicom, write_ome_zarr
from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.slides import open_slide
from napari_pathlupi.widgets._reader import NOTHING, get_reader, read
from napari_pathlupi.workflows.embedding.scale import config_folder, remember_mpp

WITHOUT_TORCH = """
import sys
from napari_pathlupi.widgets._reader import get_reader
read = get_reader(sys.argv[1])
assert read is not None
read(sys.argv[1])
heavy = {"torch", "napari.viewer", "qtpy"} & set(sys.modules)
assert not heavy, heavy
"""


def flat(folder: Path, name: str, side: int = 64) -> str:
    tifffile.imwrite(folder / name, np.zeros((side, side, 3), np.uint8), photometric="rgb")
    return str(folder / name)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sentences: list[str] = []
    for show in ("show_error", "show_info"):
        monkeypatch.setattr(f"napari.utils.notifications.{show}", sentences.append)
    return sentences


def test_reading_a_slide_loads_neither_torch_nor_a_window(addressed_slide: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(addressed_slide)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_slide_becomes_a_pyramid_in_um(addressed_slide: Path) -> None:
    (made,) = read(str(addressed_slide))
    layer = Layer.create(*made)
    assert isinstance(layer, Image)
    assert layer.multiscale and layer.rgb
    assert layer.scale == pytest.approx((0.25, 0.25))
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.axis_labels == ("y", "x")
    assert np.allclose(layer.data_to_world((-0.5, -0.5)), 0)
    assert layer.metadata["pathlupi"]["kind"] == "slide"
    assert max(layer.data[-1].shape) <= 1024


def test_a_picture_of_16_bits_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    imageio.imwrite(path, np.zeros((40, 50), np.uint16))
    assert get_reader(str(path)) is None


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((64, 64), {"dtype": np.uint16}),
        ((64, 64), {"dtype": np.float32}),
        ((5, 64, 64), {"metadata": {"axes": "ZYX"}}),
        ((5, 64, 64), {"metadata": {"axes": "TYX"}}),
        ((5, 64, 64), {}),
        ((3, 64, 64), {"photometric": "rgb", "planarconfig": "separate"}),
        ((64, 64, 2), {"photometric": "minisblack", "planarconfig": "contig"}),
    ],
)
def test_a_tiled_tiff_that_no_slide_reader_takes_is_left_to_others(
    shape: tuple[int, ...], options: dict[str, Any], tmp_path: Path
) -> None:
    from napari_pathlupi.errors import SlideError

    path = tmp_path / "stack.tif"
    dtype = options.pop("dtype", np.uint8)
    tifffile.imwrite(path, np.zeros(shape, dtype), **({"photometric": "minisblack"} | options), tile=(32, 32))
    assert get_reader(str(path)) is None
    with pytest.raises(SlideError):
        open_slide(path)


@pytest.mark.parametrize(
    "name",
    ["none.svs", "notes.txt", "broken.tif", "broken.png", "broken.jpg", "folder.svs", f"{'long' * 75}.svs", "\0.svs"],
)
def test_what_is_no_slide_is_declined_without_an_error(name: str, tmp_path: Path) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"not a picture")
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    assert get_reader(str(tmp_path / name)) is None
    assert get_reader([]) is None


def test_a_damaged_slide_is_one_sentence_and_no_layer(shared_data: Path, said: list[str]) -> None:
    path = str(shared_data / "wsi/broken.svs")
    read_it = get_reader(path)
    assert read_it is not None
    assert read_it(path) == NOTHING
    assert len(said) == 1 and "broken.svs" in said[0]


def test_a_good_slide_opens_beside_a_bad_one(addressed_slide: Path, tmp_path: Path, said: list[str]) -> None:
    bad = tmp_path / "bad.svs"
    bad.touch()
    made = read([str(bad), str(addressed_slide)])
    assert [options["name"] for _, options, _ in made] == ["addressed.svs"]
    assert len(said) == 1


def test_real_slides_are_claimed(shared_data: Path) -> None:
    for name in ("CMU-1-Small-Region.svs", "test3-DAPI-2-(387).ndpi"):
        assert get_reader(str(shared_data / "wsi" / name)) is not None


def test_a_stated_scale_says_who_stated_it(addressed_slide: Path) -> None:
    assert open_slide(addressed_slide, mpp=0.5).frame.mpp == Mpp(0.5, 0.5, "stated by the user")


def test_a_folder_or_an_ending_of_many_meanings_is_claimed_only_when_it_opens_as_a_slide(tmp_path: Path) -> None:
    zarr = write_ome_zarr(tmp_path / "slide.ome.zarr", [addresses((90, 80))])
    series = write_dicom(tmp_path / "series", [addresses((90, 80))])
    (tmp_path / "ct.dcm").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "confocal.czi").write_bytes(b"ZISRAWFILE")
    assert all(get_reader(str(path)) is not None for path in (zarr, series[0], series[0].parent))
    assert all(get_reader(str(path)) is None for path in (tmp_path, tmp_path / "ct.dcm", tmp_path / "confocal.czi"))
    for folder in (zarr, series[0].parent):  # as napari does with a folder that is dropped on it
        read_it = get_reader(str(folder))
        assert read_it is not None
        ((octaves, _, _),) = read_it([str(folder)])
        assert (np.asarray(octaves[0]) == addresses((90, 80))).all()


def test_a_scale_that_was_stated_earlier_is_used_where_the_file_has_none(tmp_path: Path, said: list[str]) -> None:
    path = flat(tmp_path, "flat.tif")
    remember_mpp(open_slide(path).fingerprint, 0.4)
    ((_, options, _),) = read(path)
    assert options["scale"] == (0.4, 0.4)
    (config_folder() / "stated-scales.json").write_text("{")
    ((_, options, _),) = read(path)
    assert options["scale"] == (1.0, 1.0)
    assert len(said) == 1 and "cannot be read" in said[0]


def test_what_the_file_says_is_used_and_that_something_else_was_stated_is_told(
    addressed_slide: Path, said: list[str]
) -> None:
    remember_mpp(open_slide(addressed_slide).fingerprint, 0.4)
    ((_, options, _),) = read(str(addressed_slide))
    assert options["scale"] == (0.25, 0.25)
    assert len(said) == 1 and "earlier you stated 0.4" in said[0]
