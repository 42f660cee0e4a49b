"""How well the tissue mask agrees with what was planted on simulated slides, and how long it takes.

Tissue: intersection over union (IoU) with the planted tissue, fat included, for each slide, at 8 µm/px. Artefacts: red,
green, blue and black pen, slide edge, bubble and fold are planted on the overviews, one at a time, and the right half
of the slide is blurred (Gaussian, 2.5 µm); for each, the share of its area that is found under its name (recall), the
IoU, and the share of all other area that is called so wrongly. Speed: CPU seconds for an overview of 2500 x 2500 px
(20 x 20 mm) tiled from such slides, on one thread, without reading it; and seconds by the clock with reading, per
simulated slide.

    python benchmarks/tissue.py [--quick] [--cohort FOLDER]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.core.tissue import BLUR, FAT, GLASS, NAMES, TISSUE, TissueMask
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.simulation.artefacts import INKS, ON_GLASS, Picture, Planted, plant_fold, plant_pen
from napari_pathlupi.simulation.cohort import simulate_steps
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.tissue import focus
from napari_pathlupi.tissue.otsu import find_tissue
from napari_pathlupi.workflows.embedding.tile import OVERVIEW_MPP, find_tissue_on

CASES, QUICK_CASES = 8, 4
COHORT = SimulationConfig(cases=CASES, seed=41, shape_px=(8192, 8192), mpp=1.0, pen_share=0.0)
QUICK_COHORT = SimulationConfig(cases=QUICK_CASES, seed=41, shape_px=(4096, 4096), mpp=1.0, pen_share=0.0)


def planted_tissue(file: Path, mask: TissueMask) -> np.ndarray:
    """(rows, columns) whether most of what was planted around the middle of each cell of a mask is tissue."""
    with np.load(file) as truth:
        share, step = truth["tissue"], float(truth["step_px"])
    middles = [
        (np.arange(cells) + 0.5) * size / step for cells, size in zip(mask.classes.shape, mask.step_px0, strict=True)
    ]
    rows, columns = (
        np.minimum(middle.astype(int), side - 1) for middle, side in zip(middles, share.shape, strict=True)
    )
    return np.asarray(share[np.ix_(rows, columns)] >= 0.5)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def planted(overview: Picture, tissue: np.ndarray, seed: int) -> dict[str, Planted]:
    """Return a spoilt overview for each kind of artefact, and where it is spoilt."""
    made = {}
    for number, ink in enumerate(INKS):
        made[ink] = plant_pen(overview, OVERVIEW_MPP, np.random.default_rng([seed, number]), ink)
    for number, (name, plant) in enumerate(ON_GLASS.items(), start=10):
        made[name] = plant(overview, OVERVIEW_MPP, np.random.default_rng([seed, number]))
    made["fold"] = plant_fold(overview, tissue, OVERVIEW_MPP, np.random.default_rng([seed, 20]))
    return made


def found(overview: Picture) -> TissueMask:
    return find_tissue(overview, (1.0, 1.0), OVERVIEW_MPP)


def blurred_half(slide: Slide, mask: TissueMask) -> tuple[np.ndarray, np.ndarray]:
    """Return what is called blur where the tissue in the right half of a slide is out of focus, and that tissue."""
    scale, margin = focus.MPP / slide.mpp.mean, 16
    middle = slide.frame.shape_px0[1] / 2

    def read(origin_px0: tuple[float, float]) -> Picture:
        corner = origin_px0[0] - margin * scale, origin_px0[1] - margin * scale
        side = focus.WINDOW_PX + 2 * margin
        picture = slide.read_scaled(corner, (side, side), (scale, scale))
        if origin_px0[1] + focus.WINDOW_PX * scale / 2 > middle:
            planes = [
                ndimage.gaussian_filter(plane.astype(float), 2.5 / focus.MPP) for plane in np.moveaxis(picture, 2, 0)
            ]
            picture = np.stack(planes, axis=2).round().astype(np.uint8)
        return picture[margin:-margin, margin:-margin]

    right = np.arange(mask.classes.shape[1]) >= mask.classes.shape[1] / 2
    return focus.mark_blur(mask, OVERVIEW_MPP, read, 100).classes == BLUR, mask.tissue & right


def seconds_for_a_large_slide(overview: Picture) -> float:
    side = 2500
    times = -(-side // overview.shape[0]), -(-side // overview.shape[1]), 1
    large = np.tile(overview, times)[:side, :side]
    taken = []
    for _ in range(3):
        start = time.process_time()
        found(large)
        taken.append(time.process_time() - start)
    return min(taken)


def judge(folder: Path, cases: list[Path]) -> dict[str, object]:
    """Print a line for each slide and return the figures."""
    agreement, seconds, overviews = {}, [], []
    rates: dict[str, list[tuple[float, float, float]]] = {}
    for number, path in enumerate(cases):
        with open_slide(path) as slide:
            start = time.perf_counter()
            mask = find_tissue_on(slide)
            seconds.append(time.perf_counter() - start)
            overviews.append(slide.overview(OVERVIEW_MPP / slide.mpp.mean))
            said, where = blurred_half(slide, mask)
        rates.setdefault("blur", []).append(((said & where).sum() / where.sum(), iou(said, where), said[~where].mean()))
        truth = planted_tissue(folder / "truth" / f"{path.stem}.npz", mask)
        agreement[path.stem] = iou(np.isin(mask.classes, (TISSUE, FAT)), truth)
        print(f"{path.stem}: tissue IoU {agreement[path.stem]:.3f}, {seconds[-1]:.2f} s with reading")
        for name, (picture, where) in planted(overviews[-1], truth, number).items():
            said = found(picture).classes == NAMES.index(name)
            rates.setdefault(name, []).append(
                ((said & where).sum() / where.sum(), iou(said, where), said[~where].mean())
            )
        clean = found(overviews[-1]).classes
        wrong = (~np.isin(clean, (GLASS, TISSUE, FAT))).mean()
        rates.setdefault("nothing planted", []).append((1.0, 1.0, wrong))
    print(f"\n{'planted':<16} recall    IoU  wrongly")
    means = {name: np.mean(values, axis=0) for name, values in rates.items()}
    for name, (recall, overlap, wrong) in means.items():
        print(f"{name:<16} {recall:6.3f} {overlap:6.3f} {wrong:8.5f}")
    large = seconds_for_a_large_slide(overviews[0])
    print(f"\n20 x 20 mm at {OVERVIEW_MPP:g} µm/px: {large:.2f} CPU s")
    figures: dict[str, object] = {
        f"{name.replace(' ', '_')}_recall": round(float(v[0]), 3) for name, v in means.items()
    }
    figures |= {f"{name.replace(' ', '_')}_iou": round(float(v[1]), 3) for name, v in means.items()}
    del figures["nothing_planted_recall"], figures["nothing_planted_iou"]
    return figures | {
        "tissue_iou": {name: round(value, 4) for name, value in agreement.items()},
        "tissue_iou_mean": round(float(np.mean(list(agreement.values()))), 4),
        "tissue_iou_least": round(min(agreement.values()), 4),
        "artefact_share_where_none_is": round(float(means["nothing planted"][2]), 5),
        "cpu_seconds_20mm": round(large, 3),
        "seconds_per_slide": round(float(np.median(seconds)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller slides")
    parser.add_argument("--cohort", type=Path, help="where the simulated slides are kept (default: the user's cache)")
    options = parser.parse_args()
    config = QUICK_COHORT if options.quick else COHORT
    folder = options.cohort or cache_folder() / f"tissue-benchmark-{config.shape_px[0]}-{config.mpp:g}"
    run(simulate_steps(folder, config, hallmark(), CancelFlag()))
    figures = judge(folder, sorted((folder / "slides").glob("*.svs"))[: config.cases])
    print("RESULT " + json.dumps({"quick": options.quick, **figures}))


if __name__ == "__main__":
    main()
