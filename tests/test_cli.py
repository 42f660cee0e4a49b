"""The command line: whole results or one sentence."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tifffile

from addressed import write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.cli import main
from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.workflows.embedding.scale import open_at_scale
from napari_pathlupi.workflows.prediction.predict import PredictConfig
from stacks import PLANES, write_ome_scenes


@pytest.fixture(autouse=True)
def config(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLUPI_CONFIG", str(tmp_path_factory.mktemp("config")))


def test_info_says_scale_and_source(addressed_slide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(addressed_slide)]) == 0
    said = capsys.readouterr().out
    assert "0.25 × 0.25 µm/px (Aperio header)" in said
    assert "level 2" in said


def test_predict_on_a_real_slide_with_no_further_option(shared_data: Path, tmp_path: Path, capsys) -> None:
    assert main(["predict", str(shared_data / "wsi/CMU-1-Small-Region.svs"), "-o", str(tmp_path)]) == 0
    answer = json.loads((tmp_path / "CMU-1-Small-Region.json").read_text())
    assert answer["reference_check"]["supported"] is False  # a model of simulated slides must say so of a real one
    assert "not supported" in capsys.readouterr().out
    geojson = json.loads((tmp_path / "CMU-1-Small-Region.geojson").read_text())
    assert geojson["type"] == "FeatureCollection"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wsi/test3-DAPI-2-(387).ndpi", "looks like fluorescence"),
        ("wsi/broken.svs", "no TIFF file"),
        ("wsi/kidney-48-5_flat.tif", "does not say how large a pixel is"),
        ("wsi/absent.svs", "there is no file"),
        ("patches", "is a folder"),
    ],
)
def test_what_cannot_be_predicted_is_told_in_one_sentence(
    shared_data: Path, tmp_path: Path, capsys, name: str, words: str
) -> None:
    assert main(["predict", str(shared_data / name), "-o", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_damaged_model_is_not_used(tmp_path: Path, capsys) -> None:
    from napari_pathlupi.bundle import load_bundle

    folder = tmp_path / "copy"
    folder.mkdir()
    for file in load_bundle("demo").folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    slide = write_pyramid(tmp_path / "glass.svs", [np.full((600, 600, 3), 243, np.uint8)])
    assert main(["predict", str(slide), "-o", str(tmp_path / "out"), "--model", str(folder)]) == 2
    assert "weights.safetensors" in capsys.readouterr().err


def test_an_unknown_model_suggests_the_nearest(addressed_slide: Path, tmp_path: Path, capsys) -> None:
    assert main(["predict", str(addressed_slide), "-o", str(tmp_path), "--model", "dmo"]) == 2
    assert "demo" in capsys.readouterr().err


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(addressed_slide, tmp_path, capsys) -> None:
    tmp_path.chmod(0o500)
    assert main(["predict", str(addressed_slide), "-o", str(tmp_path / "out")]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_is_told(addressed_slide: Path, capsys) -> None:
    assert main(["predict", str(addressed_slide), "-o", str(addressed_slide)]) == 2
    assert "nothing can be written to" in capsys.readouterr().err


def test_a_stated_scale_is_remembered_and_said_to_be(tmp_path: Path, capsys) -> None:
    slide = write_pyramid(tmp_path / "bare.tif", [np.full((600, 600, 3), 243, np.uint8)])
    assert main(["info", str(slide)]) == 0
    assert "unknown: give it with --mpp" in capsys.readouterr().out
    assert main(["convert", str(slide), "-o", str(tmp_path / "made.tif"), "--mpp", "0.2465"]) == 0
    assert "0.2465 × 0.2465 µm/px" in capsys.readouterr().out
    assert main(["info", str(slide)]) == 0
    assert "0.2465 × 0.2465 µm/px (stated by the user, remembered)" in capsys.readouterr().out


def test_info_remembers_no_scale_and_can_forget_one(tmp_path: Path, capsys) -> None:
    slide = write_pyramid(tmp_path / "bare.tif", [np.full((600, 600, 3), 243, np.uint8)])
    assert main(["info", str(slide), "--mpp", "0.2465"]) == 0
    assert "0.2465 × 0.2465 µm/px (stated by the user)" in capsys.readouterr().out
    assert main(["info", str(slide), "--forget-mpp"]) == 0
    assert "nothing was remembered for bare.tif" in capsys.readouterr().out
    open_at_scale(slide, 0.5)
    assert main(["info", str(slide), "--forget-mpp"]) == 0
    assert "the 0.5 µm/px that you stated for bare.tif are forgotten" in capsys.readouterr().out
    assert main(["info", str(slide)]) == 0
    assert "unknown: give it with --mpp" in capsys.readouterr().out


def test_the_scale_of_the_file_is_used_and_another_that_is_remembered_is_told(addressed_slide: Path, capsys) -> None:
    open_at_scale(addressed_slide, 0.5)
    assert main(["info", str(addressed_slide)]) == 0
    said = capsys.readouterr().out
    assert "0.25 × 0.25 µm/px (Aperio header)" in said
    assert "earlier you stated 0.5" in said
    assert "pathlupi info SLIDE --forget-mpp" in said


def test_convert_writes_a_pyramid_once_and_says_what_it_left_out(addressed_slide: Path, tmp_path: Path, capsys) -> None:
    made = tmp_path / "made.tif"
    assert main(["convert", str(addressed_slide), "-o", str(made), "--lossless"]) == 0
    assert "0.25 × 0.25 µm/px" in (said := capsys.readouterr().out)
    assert "Colour profile (ICC)" in said
    assert main(["convert", str(addressed_slide), "-o", str(made)]) == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert main(["convert", str(addressed_slide), "-o", str(tmp_path / "absent" / "made.tif")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_info_lists_planes_scenes_and_profile_and_convert_takes_what_is_chosen(tmp_path: Path, capsys) -> None:
    slide = write_ome_scenes(tmp_path / "scenes.ome.tif")
    assert main(["info", str(slide), "--scene", "1", "--plane", "2"]) == 0
    said = capsys.readouterr().out
    assert "scene 0      Tissue A, 300 × 180 px\n" in said
    assert "scene 1      Tissue B, 300 × 160 px (this one)\n" in said
    assert "plane 2      3 µm (this one)\n" in said
    assert "as stored, no colour profile (ICC) known" in said
    made = tmp_path / "made.tif"
    assert main(["convert", str(slide), "-o", str(made), "--lossless", "--scene", "1", "--plane", "2"]) == 0
    with tifffile.TiffFile(made) as tiff:
        assert tiff.pages[0].description == "napari-pathlupi convert: plane 2, scene 1"
    assert (open_slide(made).read_level(0, (0, 0), (160, 300)) == PLANES[2][:160] + np.uint8(2)).all()
    assert main(["info", str(slide), "--plane", "3"]) == 2
    assert "has no focal plane 3" in capsys.readouterr().err


def test_no_command_prints_the_help(capsys) -> None:
    assert main([]) == 2
    assert "predict" in capsys.readouterr().out


@pytest.mark.parametrize("config", [PredictConfig, SimulationConfig])
def test_every_setting_is_explained_in_one_place(config: type) -> None:
    assert all(field_texts(config)[field.name] for field in fields(config))


def test_flags_become_settings(tmp_path: Path, capsys) -> None:
    arguments = ["simulate", "-o", str(tmp_path / "c"), "--cases", "0"]
    assert main(arguments) == 2
    assert "cases cannot be simulated" in capsys.readouterr().err


def test_regions_without_an_area_are_never_the_whole_slide(addressed_slide: Path, tmp_path: Path, capsys) -> None:
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    arguments = ["predict", str(addressed_slide), "-o", str(tmp_path / "out"), "--regions", str(empty)]
    assert main(arguments) == 2
    assert "holds no area" in capsys.readouterr().err


def test_one_slide_that_cannot_be_read_keeps_no_other_from_its_result(
    shared_data: Path, tmp_path: Path, capsys
) -> None:
    good = str(shared_data / "wsi/CMU-1-Small-Region.svs")
    assert main(["predict", "nowhere.svs", good, "-o", str(tmp_path)]) == 2
    assert (tmp_path / "CMU-1-Small-Region.json").exists()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("pathlupi: there is no file nowhere.svs")
    assert said[-1] == "pathlupi: 1 of 2 slides have no result, as told above: nowhere.svs."


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is told otherwise there")
def test_whoever_reads_only_the_first_line_sees_no_traceback(addressed_slide: Path) -> None:
    code = f"import sys; from napari_pathlupi.cli import main; sys.exit(main(['info', {str(addressed_slide)!r}]))"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
