"""Features of other tools on the command line."""

import json
from pathlib import Path

import pytest

import feature_files as made
from napari_pathlupi.cli import main
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.interchange._told import Stated


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_what_is_missing_is_asked_for_then_written_for_another_tool_and_read_again(tmp_path: Path, capsys) -> None:
    source, out = made.stamp(tmp_path), tmp_path / "out.h5"
    code, words = said(capsys, "export", source, "-o", out)
    assert (code, words.count("\n")) == (2, 1)
    assert "--mpp" in words
    code, words = said(capsys, "export", source, "-o", out, "--mpp", 0.25)
    assert code == 0
    assert "4 tiles of uni (weights not stated) on 256 px at 0.5 µm/px" in words
    assert (read_bag(out).features == read_bag(source, stated=Stated(mpp=0.25)).features).all()
    code, words = said(capsys, "export", out, "-o", tmp_path / "out.h5ad", "--to", "anndat")
    assert (code, "did you mean 'anndata'" in words) == (2, True)
    assert said(capsys, "export", out, "-o", tmp_path / "out.h5ad", "--to", "anndata")[0] == 0


def test_predict_takes_features_in_place_of_slides(tmp_path: Path, addressed_slide: Path, capsys) -> None:
    data = {"features": made.vectors(151), "coords": made.CORNERS // 4}
    at = {"patch_size": 256, "patch_size_level0": 512, "target_magnification": 20}
    file = made.write_h5(tmp_path / "case.h5", data, coords=at)
    asked = ["predict", "--features", file, "-o", tmp_path / "out", "--encoder", "stain-texture"]
    code, words = said(capsys, *asked)
    assert code == 2
    assert "--slide or µm per pixel with --mpp" in words
    code, words = said(capsys, *asked, "--slide", addressed_slide)
    assert code == 0, words
    assert "addressed.svs: " in words
    assert "does not say which weights" in words
    answer = json.loads((tmp_path / "out/addressed.json").read_text())
    assert answer["tiles"] == {"asked": 4, "read": 4}
    assert answer["provenance"]["settings"] == {"features": "TRIDENT (case.h5)"}
    assert said(capsys, *asked, "--mpp", 0.25)[0] == 0
    assert (tmp_path / "out/case.json").exists()


def test_slides_and_features_do_not_mix(addressed_slide: Path, tmp_path: Path, capsys) -> None:
    for arguments in ((), (addressed_slide, "--features", "x.h5")):
        code, words = said(capsys, "predict", *arguments, "-o", tmp_path)
        assert (code, "one of the two" in words) == (2, True)
    code, words = said(capsys, "predict", "--features", "a.h5", "b.h5", "--slide", "s.svs", "-o", tmp_path)
    assert (code, "not of 2" in words) == (2, True)
