"""The demo model: trained on a simulated cohort by the same trainer as any other, and made again by one command."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from napari_pathlupi.bundle import About, load_bundle
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, as_part_of
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.simulation.cohort import simulate_steps
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import SUBTYPES
from napari_pathlupi.slides import open_slide
from napari_pathlupi.workflows.demo import IDENTITY, PATCH_ENCODER
from napari_pathlupi.workflows.embedding.embed import embed_steps
from napari_pathlupi.workflows.embedding.tile import tile
from napari_pathlupi.workflows.prediction.ensemble import Ensemble, save_ensemble
from napari_pathlupi.workflows.prediction.features import features_of, save_bag
from napari_pathlupi.workflows.training.study import train_study_steps
from napari_pathlupi.workflows.training.study_config import (
    CohortPart,
    ExpressionPart,
    ModelPart,
    RunPart,
    StudyConfig,
    TaskPart,
)
from napari_pathlupi.workflows.training.study_tables import write_table

COHORT = SimulationConfig(cases=400, seed=2506, held_back=0.2)
"""320 cases to learn from in five folds, 80 held back from all of them."""
TRAINING = {"settings": {}, "learning_rate": 1e-3, "weight_decay": 0.01}
"""How the preset trained when the bundle that ships was made."""
GOLDEN_TILES = 16
BAGS, TABLE = "bags", "study.csv"


def train_demo_steps(out: Path, work: Path, cancel: CancelFlag | None = None) -> Steps[Path]:
    """Yield progress and return the folder of the demo model, made from nothing.

    Parameters
    ----------
    out
        Folder of the model; must not exist.
    work
        Where the simulated cohort and the run are kept, so that an interrupted run goes on.
    cancel
        Asks to stop.

    Raises
    ------
    Cancelled, OutputError
        When asked to stop, or a folder cannot be written.
    """
    yield from simulate_steps(work, COHORT, hallmark(), cancel or CancelFlag())
    table = pd.read_csv(work / "cohort.csv")
    yield from embed_demo_steps(work, table, cancel)
    training, held_back = table[table["split"] == "train"], table[table["split"] == "test"]
    write_table(work / TABLE, training.rename(columns={"case": "case_id", "subtype": "label"})[["case_id", "label"]])
    run_folder = yield from train_study_steps(demo_study(work), cancel)
    bundle = load_bundle(run_folder / "model")
    ensemble = Ensemble.from_bundle(bundle)
    right = held_back_right(ensemble, work, held_back)
    golden = features_of(work / BAGS / f"{held_back['case'].iloc[0]}.h5").features[:GOLDEN_TILES]
    save_ensemble(out, ensemble, _about(bundle.card, right), golden)
    return out


def demo_study(work: Path, **sections: Any) -> StudyConfig:
    """Return the study that the demo model comes from."""
    config = StudyConfig(
        cohort=CohortPart(table=TABLE, bags=BAGS),
        expression=ExpressionPart(unit="log2(TPM+1)", table="expression.csv.gz"),
        task=TaskPart(classes=tuple(SUBTYPES)),
        model=ModelPart(preset="pathlupi-anchored"),
        training=TRAINING,
        run=RunPart(out="run", title="Demo model (simulated slides)", licence="BSD-3-Clause"),
    )
    return replace(config, **sections).rooted(work)


def embed_demo_steps(work: Path, table: pd.DataFrame, cancel: CancelFlag | None = None) -> Steps[None]:
    """Yield progress while the slides of the cohort are embedded; what is there already is kept."""
    (work / BAGS).mkdir(exist_ok=True)
    for done, (name, place) in enumerate(zip(table["case"], table["slide"], strict=True)):
        whole = Progress("Encoding slides", done, len(table))
        yield whole
        file = work / BAGS / f"{name}.h5"
        if file.exists():
            continue
        with open_slide(work / place) as slide:
            grid = tile(slide, IDENTITY.tile_px, IDENTITY.mpp)
            bag = yield from as_part_of(whole, embed_steps(slide, grid, PATCH_ENCODER, cancel=cancel))
        save_bag(bag, file, "trident", name)


def held_back_right(ensemble: Ensemble, work: Path, held_back: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(cases,) whether the model names the subtype of cases that no fold learned from."""
    bags = (features_of(work / BAGS / f"{name}.h5").features for name in held_back["case"])
    said = [SUBTYPES[int(np.argmax(ensemble.infer(bag).outputs))] for bag in bags]
    return np.asarray(np.array(said) == held_back["subtype"].to_numpy())


def _about(card: About, right: npt.NDArray[np.bool_]) -> About:
    low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    metrics = {
        "cases held back from all folds": len(right),
        "their accuracy": round(float(right.mean()), 3),
        "their accuracy, 95 % Wilson interval": [round(float(low), 3), round(float(high), 3)],
    }
    words = "Four subtypes, Demo A to D, that do not exist: it shows what the button does."
    cohort = "Simulated slides with simulated transcriptomes; no patient, no real tissue."
    changes = {
        "name": "demo",
        "description": f"{words} {card.description}",
        "trained_on": f"{cohort} {card.trained_on}",
        "limits": "Means nothing on a real slide, and says so: real slides are unlike those it learned from.",
        "source": "pathlupi train-demo",
        "created": date.today().isoformat(),
        "intended_use": "To try the software; nothing else.",
        "metrics": metrics | card.metrics,
    }
    return About(**{name: getattr(card, name) for name in About.model_fields} | changes)
