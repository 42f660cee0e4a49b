"""Named ways to train: a slide encoder, an objective and their stages, under the name by which people ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_pathlupi.errors import NotFoundError, did_you_mean
from napari_pathlupi.workflows.training.train import TrainConfig

HALLMARKS = 50
"""Gene sets of MSigDB's Hallmark collection: one token for each."""
INFERRED_WEIGHT = 0.3 * HALLMARKS
"""G-HANet weighs each gene set's loss 0.3 and adds them up; our objectives take their mean."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named way to train.

    Parameters
    ----------
    words
        What it is, in a sentence.
    train
        How a model is trained with it.
    study
        What it asks of the study around it, as JSON values: patch encoder, tiles, folds. Empty where it asks nothing.
    """

    words: str
    train: TrainConfig
    study: Mapping[str, Any] = field(default_factory=dict)


_GATED: Mapping[str, Any] = {"settings": {"dropout": 0.5}, "learning_rate": 3e-3, "weight_decay": 0.1}
"""Chosen for ABMIL on simulated bags, and better for it on simulated slides as well (docs/evidence.md)."""
_ANCHORED = TrainConfig(
    slide_encoder="abmil", objective="reconstruction", weight=5.0, rna_steps=300, steps=700, **_GATED
)
_INFERRED = TrainConfig(
    slide_encoder="pathlupi",
    settings={"projection": 512, "tokens": HALLMARKS, "heads": 4, "dropout": 0.25},
    objective="reconstruction-genes",
    weight=INFERRED_WEIGHT,
    rna_steps=0,
    steps=600,
    batch=32,
    tiles=4096,
    learning_rate=2e-4,
    weight_decay=1e-5,
)


def _without_rna(slide_encoder: str, **settings: Any) -> TrainConfig:
    """As long as the anchored one in all, so that comparisons are fair."""
    steps = _ANCHORED.steps + _ANCHORED.rna_steps
    return TrainConfig(slide_encoder=slide_encoder, objective="", rna_steps=0, steps=steps, **settings)


_FINE_TUNED = TrainConfig(
    slide_encoder="threads",
    settings={"width": 1024, "heads": 2},
    objective="",
    weight=0.0,
    rna_steps=0,
    epochs=5,
    batch=1,
    tiles=2048,
    learning_rate=2.5e-5,
    weight_decay=0.0,
    warm_up=0.2,
)
"""As published with Threads (arXiv 2501.16652, Online Methods): AdamW, no layer decay, no accumulation, one epoch of
warm-up and a half cosine (GigaPath's), the last epoch kept, the loss weighted by class (``task.settings``)."""

_THREADS_ABMIL = replace(
    _FINE_TUNED, slide_encoder="abmil-plain", settings={}, epochs=20, learning_rate=3e-4, weight_decay=1e-5, warm_up=0.0
)
"""The paper's baseline; its rate falls as a cosine from the first step, ours rises over the first twentieth."""

PRESETS: Mapping[str, Preset] = {
    "pathlupi-anchored": Preset(
        "Gated attention whose embedding must tell gene-set activity: expression alone first, then beside the task.",
        _ANCHORED,
    ),
    "pathlupi": Preset(
        "PathLUPI as far as its published tensors tell, the rest after its probable parent G-HANet: inferred.",
        _INFERRED,
    ),
    "pathlupi-paper": Preset(
        "The same in the published setting: CONCH, tiles of 512 px at 0.5 µm/px, five folds, one answer per case.",
        _INFERRED,
        {"patch_encoder": "conch-v1", "tile_px": 512, "mpp": 0.5, "folds": 5, "unit": "case"},
    ),
    "abmil": Preset("Gated attention, without expression: the baseline.", _without_rna("abmil", **_GATED)),
    "clam-sb": Preset("CLAM with one attention, without expression.", _without_rna("clam-sb", **_GATED)),
    "clam-mb": Preset("CLAM with an attention per class, without expression.", _without_rna("clam-mb", **_GATED)),
    "transmil": Preset(
        "TransMIL, without expression; the order of the tiles matters.", _without_rna("transmil", weight_decay=0.1)
    ),
    "dsmil": Preset("DSMIL, without expression.", _without_rna("dsmil")),
    "threads": Preset(
        "Threads' slide encoder in its published size, trained anew on the task alone, as long as the others.",
        replace(_without_rna("threads"), settings=_FINE_TUNED.settings, learning_rate=1e-4),
    ),
    "threads-finetune": Preset(
        "Threads' fine-tuning: its slide encoder, pre-trained or new, and a linear head; five epochs, a case a step.",
        _FINE_TUNED,
    ),
    "threads-abmil": Preset("The ABMIL that Threads was compared with: not gated, twenty epochs.", _THREADS_ABMIL),
    "mean": Preset("The mean tile and a linear head: the floor.", _without_rna("mean")),
    "max": Preset("The largest value of each feature and a linear head.", _without_rna("max")),
}
"""By name. `pathlupi-anchored` is ``abmil`` with another training: no network of its own."""


def preset(name: str) -> Preset:
    """Return a preset by its name.

    Raises
    ------
    NotFoundError
        When there is none of this name; the message suggests the nearest.
    """
    if name not in PRESETS:
        raise NotFoundError(f"no preset is called {name!r}: {did_you_mean(name, PRESETS)}known: {', '.join(PRESETS)}.")
    return PRESETS[name]
