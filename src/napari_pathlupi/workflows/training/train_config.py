"""How a model is trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_pathlupi.errors import SettingsError

AMP = ("", "bf16", "fp16")
"""Kinds of mixed precision, "" for none."""


def must_have_precision(amp: str, device: str) -> None:
    """Refuse a mixed precision that there is not, or not on a device."""
    if amp not in AMP:
        raise SettingsError(f"there is no mixed precision {amp!r}: choose bf16, fp16 or none.")
    if amp and not device.startswith("cuda"):
        raise SettingsError(f"mixed precision ({amp}) is for CUDA, the device is {device}: leave it out.")


def must_be_at_least(config: object, least: Mapping[str, float]) -> None:
    """Refuse settings below their least value, by name."""
    for name, value in least.items():
        if getattr(config, name) < value:
            raise SettingsError(f"{name} is {getattr(config, name)}: give {value} or more.")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train. Every default is our choice, from a trial on simulated bags; the paper's are not known.

    Parameters
    ----------
    slide_encoder, settings
        Name in the catalogue, and what to build it with.
    objective, objective_settings
        Molecular objective, used when there are transcriptomes; "" trains without.
    weight
        Of the objective's loss (a mean over gene sets) beside the task's. 3 to 10 did equally well; 0 trains without.
    rna_steps
        Steps at the start with the objective alone, on every case with a transcriptome, labelled or not.
    steps
        Steps with both losses. Their number is fixed: choosing a checkpoint by validation loss stops arms at different
        maturity and falsifies every comparison.
    epochs
        How often every case is seen with both losses, in place of `steps`; 0 counts steps.
    batch
        Cases per step.
    accumulate
        Parts that a step is computed in, to save memory: the gradients are those of the whole step.
    tiles
        Tiles drawn from each bag per step, without replacement; all where a bag has fewer.
    learning_rate, weight_decay
        Of AdamW (Loshchilov and Hutter, ICLR 2019); the rate rises over the first twentieth and falls as a cosine to 0.
    warm_up
        Share of the steps over which the rate rises before it falls as a half cosine, as GigaPath's; 0 as above.
    start
        File or folder with the weights of a slide encoder to begin from; "" begins anew.
    seed
        Of weights, order, drawn tiles and dropout: the same seed gives the same model on the same device.
    device
        "cpu", "cuda" or "mps".
    amp
        Mixed precision on CUDA: "bf16", "fp16", or "" for none.
    checks
        How often the validation cases are looked at, at equal distances.
    patience
        Checks without a better smoothed score after which training stops early; 0 never does.
    save_every
        Steps after which the state is saved, where it is saved at all.
    """

    slide_encoder: str = "abmil"
    settings: Mapping[str, Any] = field(default_factory=dict)
    objective: str = "reconstruction"
    objective_settings: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 5.0
    rna_steps: int = 300
    steps: int = 700
    epochs: int = 0
    batch: int = 16
    accumulate: int = 1
    tiles: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.0
    start: str = ""
    seed: int = 0
    device: str = "cpu"
    amp: str = ""
    checks: int = 10
    patience: int = 0
    save_every: int = 100

    def __post_init__(self) -> None:
        must_have_precision(self.amp, self.device)
        if not 0 < self.learning_rate < math.inf:
            raise SettingsError(f"learning_rate is {self.learning_rate:g}: give a number above 0.")
        if not 0 <= self.warm_up < 1:
            raise SettingsError(f"warm_up is {self.warm_up:g}: give a share of the steps, 0 to less than 1.")
        least = {"batch": 1, "accumulate": 1, "tiles": 1, "steps": 0, "epochs": 0, "rna_steps": 0, "weight": 0}
        must_be_at_least(self, least | {"checks": 0, "weight_decay": 0, "seed": 0})

    def steps_for(self, cases: int) -> int:
        """Return the steps with both losses for so many cases."""
        return math.ceil(self.epochs * cases / self.batch) if self.epochs else self.steps
