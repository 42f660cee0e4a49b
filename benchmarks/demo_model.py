"""How good the demo model is on simulated slides that it did not learn from, and whether the task is worth it.

Predicts on every held-back slide of the demo cohort through the same path as the button, and prints the accuracy of the
subtype, how well the attention falls on the planted tumour (area under the precision-recall curve, beside its chance
level), and what a probe on mean colour would reach.

    python benchmarks/demo_model.py [--quick] [--cohort FOLDER]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_pathlupi.bundle import load_bundle
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.simulation.cohort import simulate_steps
from napari_pathlupi.slides import open_slide
from napari_pathlupi.workflows.embedding.tile import OVERVIEW_MPP, find_tissue_on
from napari_pathlupi.workflows.prediction.predict import predict
from napari_pathlupi.workflows.training.demo_model import COHORT

QUICK_CASES = 40


def planted_share(planted: Path, grid: TileGrid, what: str = "tumour") -> npt.NDArray[np.float64]:
    """(N,) share of each tile that is planted tumour, or the mean activity of a programme in it."""
    with np.load(planted) as truth:
        raster, step = truth[what], float(truth["step_px"])
    starts = np.floor(grid.origins_px0 / step).astype(int)
    ends = np.ceil((grid.origins_px0 + grid.side_px0) / step).astype(int)
    return np.array([raster[y0:y1, x0:x1].mean() for (y0, x0), (y1, x1) in zip(starts, ends, strict=True)])


def attention_precision(prediction: Prediction, planted: Path) -> tuple[float, float] | None:
    """Average precision of the attention against tiles that are mostly tumour, and the share of such tiles."""
    mostly = planted_share(planted, prediction.grid) >= 0.5
    if not 0 < mostly.sum() < len(mostly):
        return None
    return float(average_precision_score(mostly, prediction.attention)), float(mostly.mean())


def mean_colours(folder: Path, slides: pd.Series) -> npt.NDArray[np.float64]:
    """(cases, 6) mean and spread of red, green and blue over the tissue of each slide."""
    rows = []
    for name in slides:
        with open_slide(folder / name) as slide:
            tissue = find_tissue_on(slide).tissue
            pixels = slide.overview(OVERVIEW_MPP / slide.mpp.mean)[tissue]
        rows.append([*pixels.mean(0), *pixels.std(0)])
    return np.array(rows)


def colour_probe(folder: Path, table: pd.DataFrame) -> float:
    """Accuracy on the held-back cases of a logistic regression on colour, fitted on the training cases."""
    training, held_back = table[table["split"] == "train"], table[table["split"] == "test"]
    probe = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(Cs=8, scoring="accuracy", max_iter=5000, l1_ratios=(0,), use_legacy_attributes=False),
    )
    probe.fit(mean_colours(folder, training["slide"]), training["subtype"])
    return float(probe.score(mean_colours(folder, held_back["slide"]), held_back["subtype"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CASES} cases, no colour probe")
    parser.add_argument("--cohort", type=Path, default=cache_folder() / "demo-cohort", help="made when it is not there")
    chosen = parser.parse_args()
    folder = run(simulate_steps(chosen.cohort, COHORT, hallmark(), CancelFlag()))
    table = pd.read_csv(folder / "cohort.csv")
    held_back = table[table["split"] == "test"].head(QUICK_CASES if chosen.quick else None)
    bundle, right, scores, unlike = load_bundle("demo"), [], [], 0
    for case in held_back.itertuples():
        with open_slide(folder / str(case.slide)) as slide:
            prediction = predict(slide, bundle)
        right.append(prediction.answer.headline == case.subtype)
        unlike += not prediction.reference.supported
        score = attention_precision(prediction, folder / "truth" / f"{case.case}.npz")
        scores += [score] if score else []
    report(right, np.array(scores), unlike, None if chosen.quick else colour_probe(folder, table), chosen.quick)


def report(right: list[bool], scores: npt.NDArray[np.float64], unlike: int, colour: float | None, quick: bool) -> None:
    low, high = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    precision, chance = scores.mean(0)
    print(f"held-back simulated cases         {len(right)}")
    print(f"subtype accuracy                  {np.mean(right):.3f}  (95 % {low:.3f} to {high:.3f}; chance 0.25)")
    print(f"probe on mean colour              {'not measured' if colour is None else f'{colour:.3f}'}")
    print(
        f"attention on planted tumour       AUPRC {precision:.3f}, chance {chance:.3f}: {precision / chance:.1f} times"
    )
    print(f"wrongly called unlike the model's {unlike} of {len(right)}")
    figures = {
        "quick": quick,
        "cases": len(right),
        "accuracy": float(np.mean(right)),
        "accuracy_low": float(low),
        "colour_accuracy": colour,
        "attention_auprc": float(precision),
        "attention_chance": float(chance),
        "unlike": unlike,
    }
    print("RESULT " + json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in figures.items()}))


if __name__ == "__main__":
    main()
