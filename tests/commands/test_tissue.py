"""``pathlupi tissue``, and predicting on what it wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from addressed import write_pyramid
from napari_pathlupi.cli import main
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.export.geojson import read_regions, write_regions
from napari_pathlupi.slides import open_slide


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces of tissue, 512 px each, on glass at 0.5 µm/px."""
    picture = np.full((1024, 2048, 3), 243, np.uint8)
    for left in (128, 1280):
        picture[256:768, left : left + 512] = np.random.default_rng(0).normal((205, 140, 180), 14, (512, 512, 3))
    return write_pyramid(tmp_path_factory.mktemp("slide") / "two.svs", [picture], tile=256)


def test_tissue_is_written_as_polygons_and_told_in_words(slide: Path, tmp_path: Path, capsys) -> None:
    assert main(["tissue", str(slide), "--mpp", "0.5", "-o", str(tmp_path / "t.geojson")]) == 0
    said = capsys.readouterr().out
    assert "2 pieces of tissue, 0.14 mm², the largest 0.07 mm²" in said
    assert "glass 72 %, tissue 28 %" in said
    with open_slide(slide, 0.5) as opened:
        regions = read_regions(tmp_path / "t.geojson", opened.frame)
    assert [region.name for region in regions] == ["Tissue 1", "Tissue 2"]
    for region, left in zip(regions, (128, 1280), strict=True):
        square = shapely.box(left, 256, left + 512, 768)
        assert (region.geometry & square).area / (region.geometry | square).area > 0.85


@pytest.mark.parametrize("as_folder", [False, True])
def test_predict_looks_only_where_the_file_says_that_tissue_is(slide: Path, tmp_path: Path, as_folder: bool) -> None:
    file = tmp_path / "two.geojson"
    with open_slide(slide, 0.5) as opened:
        write_regions(file, [AnnotatedRegion(shapely.box(1280, 256, 1792, 768))], opened.frame)
    given = tmp_path if as_folder else file
    out = tmp_path / "out"
    assert main(["predict", str(slide), "--mpp", "0.5", "-o", str(out), "--tissue", str(given)]) == 0
    result = json.loads((out / "two.json").read_text())
    assert "read from two.geojson" in json.dumps(result)
    with (out / "two.csv").open() as table:
        header, *rows = (line.split(",") for line in table.read().splitlines())
    lefts = [float(row[header.index("x_px0")]) for row in rows]
    assert len(lefts) == 4 and min(lefts) >= 1280


def test_a_file_whose_areas_lie_off_the_slide_says_so(slide: Path, tmp_path: Path, capsys) -> None:
    with open_slide(slide, 0.5) as opened:
        write_regions(tmp_path / "off.geojson", [AnnotatedRegion(shapely.box(9000, 0, 9500, 500))], opened.frame)
    given = str(tmp_path / "off.geojson")
    assert main(["predict", str(slide), "--mpp", "0.5", "-o", str(tmp_path / "o"), "--tissue", given]) == 2
    assert "None of the 1 areas in off.geojson lies on two.svs." in capsys.readouterr().err


def test_what_cannot_be_excluded_is_named(slide: Path, tmp_path: Path, capsys) -> None:
    command = ["tissue", str(slide), "--mpp", "0.5", "-o", str(tmp_path / "t.geojson"), "--excluded", "pan"]
    assert main(command) == 2
    assert "name some of pen, slide edge, bubble, blur, fold, fat" in capsys.readouterr().err
