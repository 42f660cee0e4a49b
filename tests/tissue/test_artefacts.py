"""What spoils slides, planted on a simulated one and as it is on real ones."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from napari_pathlupi.core.tissue import BUBBLE, EDGE, FAT, FOLD, GLASS, NAMES, PENS, TISSUE, TissueMask
from napari_pathlupi.simulation.artefacts import INKS, plant_bubble, plant_edge, plant_fold, plant_pen
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.fields import STEP_PX
from napari_pathlupi.simulation.programmes import draw_case
from napari_pathlupi.simulation.rendering import render, truth
from napari_pathlupi.tissue.otsu import TissueConfig, find_tissue

MPP = 8.0


@pytest.fixture(scope="session")
def simulated() -> tuple[np.ndarray, np.ndarray]:
    """An overview at 8 µm/px of 2.3 mm of simulated tissue and glass, and where its tissue is."""
    case = draw_case(SimulationConfig(seed=41, shape_px=(2304, 2304), mpp=1.0, pen_share=0.0), 0)
    picture = render(case, (0, 0), case.config.shape_px)
    overview = picture.reshape(288, 8, 288, 8, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    planted = truth(case)["tissue"].repeat(STEP_PX // 8, axis=0).repeat(STEP_PX // 8, axis=1)
    return overview, planted[:288, :288] >= 0.5


def found(overview: np.ndarray) -> TissueMask:
    return find_tissue(overview, (16.0, 16.0), MPP)


def agreement(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def real(path: Path, thin: int) -> np.ndarray:
    picture = (imread(path)[..., :3] * 255 + 0.5).astype(np.uint8)
    height, width = (side - side % thin for side in picture.shape[:2])
    return (
        picture[:height, :width]
        .reshape(height // thin, thin, width // thin, thin, 3)
        .mean(axis=(1, 3))
        .astype(np.uint8)
    )


def test_planted_tissue_is_found_and_nothing_else(simulated):
    overview, tissue = simulated
    mask = found(overview)
    assert agreement(np.isin(mask.classes, (TISSUE, FAT)), tissue) > 0.93
    assert np.isin(mask.classes, (GLASS, TISSUE, FAT)).mean() > 0.995


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_stroke_is_found_under_the_name_of_its_colour(simulated, ink, seed):
    overview, where = plant_pen(simulated[0], MPP, np.random.default_rng(seed), ink)
    mask = found(overview)
    assert (mask.classes == NAMES.index(ink))[where].mean() > 0.9
    assert np.isin(mask.classes, PENS)[~where].mean() < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_edge_is_found(simulated, seed):
    overview, where = plant_edge(simulated[0], MPP, np.random.default_rng(seed))
    assert agreement(found(overview).classes == EDGE, where) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_bubble_is_found_with_what_it_encloses(simulated, seed):
    overview, where = plant_bubble(simulated[0], MPP, np.random.default_rng(seed))
    assert agreement(found(overview).classes == BUBBLE, where) > 0.8


def test_half_of_the_planted_folds_are_found_at_least_in_part(simulated):
    overview, tissue = simulated
    shares = []
    for seed in range(8):
        folded, where = plant_fold(overview, tissue, MPP, np.random.default_rng(seed))
        shares.append((found(folded).classes == FOLD)[where].mean())
    assert np.mean(np.array(shares) > 0.3) >= 0.5


def test_a_real_fold_is_found_and_is_no_tissue_unless_it_is_to_count(shared_data):
    picture = real(shared_data / "patches/qc-tiles/high-nuclei-score-red-pen-level1.png", 4)
    mask = find_tissue(picture, (16.0, 16.0), MPP)
    dark = np.zeros(mask.classes.shape, bool)
    for column in range(128):
        dark[60 + column * 23 // 100 : 64 + column * 23 // 100, column] = True  # the middle of the dark band, by eye
    assert (mask.classes == FOLD)[dark].mean() > 0.9
    assert not mask.tissue[mask.classes == FOLD].any()
    counted = find_tissue(picture, (16.0, 16.0), MPP, TissueConfig(excluded=("pen",)))
    assert counted.tissue[counted.classes == FOLD].all()


def test_real_fat_is_named(shared_data):
    picture = real(shared_data / "patches/qc-tiles/low-nuclei-score-level1.png", 4)
    mask = find_tissue(picture, (16.0, 16.0), MPP)
    assert (mask.classes == FAT).mean() > 0.9


def test_fat_alone_on_glass_is_no_glass_and_counts_when_it_is_to(shared_data):
    tiles = sorted((shared_data / "patches/nct-crc-9class").glob("ADI_gm_*.png"))
    random = np.random.default_rng(0)
    cells = [(imread(path)[..., :3] * 255)[:91, :91].reshape(13, 7, 13, 7, 3).mean(axis=(1, 3)) for path in tiles]
    rows = [
        np.concatenate([np.rot90(cells[random.integers(10)], random.integers(4)) for _ in range(12)], 1)
        for _ in range(12)
    ]
    overview = np.full((400, 400, 3), 243, np.uint8)
    overview[100:256, 100:256] = np.concatenate(rows)
    truth = np.zeros((400, 400), bool)
    truth[100:256, 100:256] = True
    assert agreement(np.isin(found(overview).classes, (TISSUE, FAT)), truth) > 0.85
    counted = find_tissue(overview, (16.0, 16.0), MPP, TissueConfig(excluded=("pen", "slide edge")))
    assert agreement(counted.tissue, truth) > 0.85


def test_the_shaded_edge_of_a_real_slide_is_named(shared_data):
    thumbnail = real(shared_data / "patches/thumbnails/diagnostic-slide-thumb-rgb.png", 1)
    mask = find_tissue(thumbnail, (160.0, 160.0), 40.0)
    assert (mask.classes[-4:] == EDGE).mean() > 0.95
    assert (mask.classes[:-25] != EDGE).all()


def test_green_ink_on_real_tissue_is_green(shared_data):
    picture = real(shared_data / "patches/thumbnails/tcga-green-pen.png", 3)
    shares = find_tissue(picture, (16.0, 16.0), MPP).shares()
    assert shares["green pen"] > 0.2
    assert shares["black pen"] + shares["blue pen"] + shares["red pen"] < 0.03
