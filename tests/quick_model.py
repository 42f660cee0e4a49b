"""A model that was trained in a second, on random vectors of the right length."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.bundle import About, Bundle, CataloguePart
from napari_pathlupi.workflows.demo import IDENTITY
from napari_pathlupi.workflows.prediction.ensemble import Ensemble, save_ensemble
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.train import TrainConfig, TrainingCases, train

ABOUT = About(
    name="quick",
    title="Quick model",
    description="For tests.",
    trained_on="random vectors",
    limits="all",
    licence="BSD-3-Clause",
    gated=False,
    source="tests",
    created="2026-11-21",
)

TASK = CataloguePart(name="classification", settings={"classes": ["Alpha", "Beta"]})


def save_model(folder: Path, model: SlideModel, about: About, golden: npt.NDArray[np.float32]) -> Bundle:
    """One trained model as a bundle, its numbers as they are."""
    return save_ensemble(folder, Ensemble((model,), reference_limit=model.reference_limit), about, golden, "float32")


def save_quick_model(folder: Path, slide_encoder: str = "abmil") -> Bundle:
    """A bundle of two classes that finds every real slide unlike its own."""
    rng = np.random.default_rng(3)
    bags = [rng.normal(size=(9, IDENTITY.dim)).astype(np.float32) for _ in range(12)]
    cases = TrainingCases(bags, IDENTITY, TASK, np.arange(12.0)[:, None] % 2)
    return save_model(folder, train(cases, TrainConfig(slide_encoder, objective="", steps=5)), ABOUT, bags[0])


def save_survival_model(folder: Path) -> Bundle:
    """A bundle that says how long, in months, of whatever slide."""
    rng = np.random.default_rng(4)
    bags = [rng.normal(size=(9, IDENTITY.dim)).astype(np.float32) for _ in range(12)]
    wanted = np.stack([10.0 + np.arange(12), np.arange(12) % 3 > 0], axis=1)
    task = CataloguePart(name="survival", settings={"unit": "months"})
    model = train(TrainingCases(bags, IDENTITY, task, wanted), TrainConfig(objective="", steps=5))
    model.reference_limit = 1e6
    return save_model(folder, model, ABOUT.model_copy(update={"title": "Quick survival"}), bags[0])
