"""OME-Zarr: axes, units, layouts and what is damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from addressed import addresses
from foreign_slides import write_ome_zarr
from napari_pathlupi import open_slide
from napari_pathlupi.errors import MppUnknownError, PathlupiError, SlideError
from napari_pathlupi.slides import ome_zarr

PICTURE = addresses((300, 400))
LEVELS = [PICTURE, PICTURE[::2, ::2]]
VERSIONS = pytest.mark.parametrize("version", ["0.4", "0.5"])


def _metadata(folder: Path) -> Path:
    return next(folder / name for name in (".zattrs", "zarr.json") if (folder / name).is_file())


def _multiscales(document: dict[str, Any]) -> list[dict[str, Any]]:
    attributes = document.get("attributes", document)
    found: list[dict[str, Any]] = attributes.get("ome", attributes)["multiscales"]
    return found


def _changed(folder: Path, change: Any) -> Path:
    document = json.loads(_metadata(folder).read_text())
    change(_multiscales(document)[0])
    _metadata(folder).write_text(json.dumps(document))
    return folder


def test_a_real_folder_is_the_slide_it_was_made_of(shared_data: Path) -> None:
    slide = open_slide(shared_data / "derived/CMU-1-Small-Region_half.ome.zarr")
    assert [level.downsample for level in slide.levels] == [1.0, 2.0, 4.0]
    assert (slide.mpp.y, slide.mpp.x, slide.mpp.source) == (0.998, 0.998, "OME-Zarr")
    whole = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    same = whole.read((600, 400), (256, 256), 0.998).astype(int)
    assert np.abs(slide.read((300, 200), (256, 256), 0.998) - same).mean() < 1.0


@VERSIONS
@pytest.mark.parametrize("units", [(None, None), ("micrometer", None), ("pixel", "pixel")])
def test_a_scale_without_units_is_asked_for(version: str, units: tuple[str | None, str | None], tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "bare.zarr", LEVELS, version=version, units=units)
    with pytest.raises(MppUnknownError, match=r"bare\.zarr"):
        _ = open_slide(folder).mpp
    assert open_slide(folder, mpp=0.5).mpp.source == "stated by the user"


@VERSIONS
def test_units_are_turned_into_micrometres_exactly(version: str, tmp_path: Path) -> None:
    folder = write_ome_zarr(
        tmp_path / "nm.zarr", LEVELS, version=version, scale=(252.5, 0.0002525), units=("nanometer", "millimeter")
    )
    mpp = open_slide(folder).mpp
    assert (mpp.y, mpp.x) == pytest.approx((0.2525, 0.2525), rel=1e-12)


def test_a_scale_of_all_levels_multiplies_that_of_the_first(tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS, scale=(1.0, 1.0))
    whole = [{"type": "scale", "scale": [1.0, 0.5, 0.25]}]
    mpp = open_slide(_changed(folder, lambda scales: scales.update(coordinateTransformations=whole))).mpp
    assert (mpp.y, mpp.x) == (0.5, 0.25)


@VERSIONS
def test_the_first_of_several_pictures_times_and_planes_is_shown(version: str, tmp_path: Path) -> None:
    folder = tmp_path / "collection.zarr"
    root = zarr.open_group(str(folder), mode="w", zarr_format=2 if version == "0.4" else 3)
    layout = {"bioformats2raw.layout": 3}
    root.attrs.update(layout if version == "0.4" else {"ome": {"version": "0.5", **layout}})
    first = write_ome_zarr(folder / "0", LEVELS, version=version, axes="tczyx")
    write_ome_zarr(folder / "1", [255 - PICTURE], version=version)
    slide = open_slide(folder)
    assert (slide.read_level(0, (0, 0), PICTURE.shape[:2]) == PICTURE).all()
    assert open_slide(first).frame == slide.frame


def test_a_picture_without_a_channel_axis_is_grey(tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", [PICTURE[..., :1]], axes="cyx")
    grey = open_slide(folder).read_level(0, (5, 6), (70, 80))
    assert (grey == PICTURE[5:75, 6:86, :1]).all()


def test_a_folder_of_any_name_is_known_by_its_content(tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "case 7 (copy)", LEVELS)
    assert open_slide(folder).vendor == "OME-Zarr"


@VERSIONS
def test_a_copy_has_the_same_fingerprint_and_another_scale_has_not(version: str, tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS, version=version)
    copy = shutil.copytree(folder, tmp_path / "renamed.zarr")
    assert open_slide(copy).fingerprint == open_slide(folder).fingerprint
    _changed(copy, lambda scales: scales["axes"][1].update(unit="nanometer"))
    assert open_slide(copy).fingerprint != open_slide(folder).fingerprint


def test_a_chunk_is_decoded_once_for_all_regions_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = open_slide(write_ome_zarr(tmp_path / "a.zarr", LEVELS, chunk=128))
    decoded = []
    chunk = ome_zarr.Plane.chunk
    monkeypatch.setattr(ome_zarr.Plane, "chunk", lambda *args: (decoded.append(args[1:]), chunk(*args))[1])
    for y in range(0, 100, 10):
        slide.read_level(0, (y, 100), (28, 56))
    assert sorted(decoded) == [(0, 0), (0, 1)]


@VERSIONS
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda scales: scales.update(datasets=[]), "can be read"),
        (lambda scales: scales.update(axes=[{"name": "x"}]), "states the axes"),
        (lambda scales: scales.update(axes="none"), "states the axes"),
        (lambda scales: scales["datasets"][0].update(path="absent"), "can be read"),
        (
            lambda scales: scales["datasets"][0].update(coordinateTransformations=[{"type": "scale", "scale": [1]}]),
            "a.zarr",
        ),
        (lambda scales: scales["datasets"][0].update(coordinateTransformations=7), "a.zarr"),
    ],
)
def test_damaged_metadata_is_told_in_one_sentence(change: Any, words: str, version: str, tmp_path: Path) -> None:
    folder = _changed(write_ome_zarr(tmp_path / "a.zarr", LEVELS, version=version), change)
    with pytest.raises(SlideError, match=words) as caught:
        open_slide(folder)
    assert "\n" not in str(caught.value) and "a.zarr" in str(caught.value)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_other_pixels_than_eight_bits_are_refused(dtype: str, tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS)
    zarr.open_group(str(folder), mode="a").create_array("0", data=np.zeros((3, 300, 400), dtype), overwrite=True)
    with pytest.raises(SlideError, match=rf"3 channel\(s\) of {dtype}: 8-bit RGB"):
        open_slide(folder)


def test_an_empty_folder_and_a_file_of_that_name_are_no_slides(tmp_path: Path) -> None:
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "file.zarr").write_bytes(b"no folder")
    for name in ("empty.zarr", "file.zarr"):
        with pytest.raises(SlideError, match=f"{name} is no OME-Zarr") as caught:
            open_slide(tmp_path / name)
        assert "\n" not in str(caught.value)


@VERSIONS
def test_a_damaged_chunk_costs_only_itself(version: str, tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS, version=version)
    chunk = max((folder / "0").rglob("0/0/0"), key=lambda path: path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:40])
    slide = open_slide(folder)
    with pytest.raises(SlideError, match=r"tile \(0, 0\) of level 0 cannot be decoded"):
        slide.read_level(0, (0, 0), (50, 50))
    assert (slide.read_level(0, (130, 140), (50, 50)) == PICTURE[130:180, 140:190]).all()
    painted = slide.lenient().read_level(0, (100, 100), (100, 100))
    assert (painted[:28, :28] == 255).all() and (painted[28:, 28:] == PICTURE[128:200, 128:200]).all()
    assert slide.missing_tiles == 1


@VERSIONS
def test_whatever_byte_of_the_metadata_is_changed_only_our_errors_come_out(version: str, tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS, version=version)
    documents = sorted(path for path in folder.rglob("*") if path.name in ome_zarr.METADATA_NAMES)
    random = np.random.default_rng(0)
    for case in range(150):
        document = documents[case % len(documents)]
        whole = document.read_bytes()
        damaged = bytearray(whole[: random.integers(len(whole))] if case % 5 == 0 else whole)
        for place in random.integers(len(damaged), size=1 + case % 3) if damaged else ():
            damaged[place] = random.integers(32, 127)
        document.write_bytes(damaged)
        try:
            slide = open_slide(folder)
            slide.read_level(0, (0, 0), (40, 40))
        except PathlupiError as error:
            assert "\n" not in str(error)
        finally:
            document.write_bytes(whole)


def test_shards_are_read_chunk_by_chunk(tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "a.zarr", LEVELS, version="0.5")
    options = {"shape": (3, 300, 400), "chunks": (3, 32, 32), "shards": (3, 128, 128), "dtype": "uint8"}
    array = zarr.open_group(str(folder), mode="a").create_array("0", overwrite=True, **options)
    array[:] = PICTURE.transpose(2, 0, 1)
    assert (open_slide(folder).read_level(0, (0, 0), (300, 400)) == PICTURE).all()
