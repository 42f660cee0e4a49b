"""Train a slide model on bags of tile vectors, with expression as privileged information."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, run
from napari_pathlupi.errors import Cancelled, InferenceError, MismatchError
from napari_pathlupi.workflows.model import SlideModel, device_failures

MIN_CASES = 10
"""Our choice: with fewer there is no saying what a slide like them is."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCases:
    """What a model learns from.

    Parameters
    ----------
    bags
        Per case, (tiles, dim) feature vectors, float32; all slides of a case together.
    identity
        The patch encoder that made them.
    task
        Name and settings of the task.
    wanted
        (cases, columns) what is known of each case, as the task reads it (for a classification the index of the
        class); NaN where unknown.
    targets
        (cases, gene sets) activities; a row with any NaN is a case whose expression is unknown; None without any.
    gene_sets
        Names of its columns.
    """

    bags: Sequence[npt.NDArray[np.float32]]
    identity: EncoderIdentity
    task: CataloguePart
    wanted: npt.NDArray[np.float64]
    targets: npt.NDArray[np.float64] | None = None
    gene_sets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.bags)
        task = tasks[self.task.name](**self.task.settings)
        rows = None if self.targets is None else self.targets.shape
        if self.wanted.shape != (count, task.columns) or rows not in (None, (count, len(self.gene_sets))):
            raise MismatchError(
                f"{count} bags, labels of the shape {self.wanted.shape}, targets of the shape {rows}: one row of each "
                f"per case is needed, with {task.columns} columns of labels and {len(self.gene_sets)} of targets."
            )
        if count < MIN_CASES:
            raise MismatchError(f"{count} cases: at least {MIN_CASES} are needed to say what a slide like them is.")
        task.check(self.wanted)
        for i, bag in enumerate(self.bags):
            if bag.ndim != 2 or bag.shape[1] != self.identity.dim or not len(bag) or not np.isfinite(bag).all():
                raise MismatchError(
                    f"bag {i} has the shape {bag.shape}: at least one tile of {self.identity.dim} finite numbers is "
                    f"needed, as {self.identity.name} gives them."
                )


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
        Of the objective's loss (a mean over gene sets) beside the task's. 3 to 10 did equally well.
    rna_steps
        Steps at the start with the objective alone, on every case with a transcriptome, labelled or not.
    steps
        Steps with both losses. Their number is fixed: choosing a checkpoint by validation loss stops arms at different
        maturity and falsifies every comparison.
    batch
        Cases per step.
    tiles
        Tiles drawn from each bag per step, without replacement; all where a bag has fewer.
    learning_rate, weight_decay
        Of AdamW (Loshchilov and Hutter, ICLR 2019); the rate rises over the first twentieth and falls as a cosine to 0.
    seed
        Of weights, order, drawn tiles and dropout: the same seed gives the same model on the same device.
    device
        "cpu", "cuda" or "mps".
    """

    slide_encoder: str = "pathlupi"
    settings: Mapping[str, Any] = field(default_factory=dict)
    objective: str = "reconstruction"
    objective_settings: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 5.0
    rna_steps: int = 300
    steps: int = 700
    batch: int = 16
    tiles: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    seed: int = 0
    device: str = "cpu"


def train(cases: TrainingCases, config: TrainConfig | None = None) -> SlideModel:
    """Return a trained model; see `train_steps`."""
    return run(train_steps(cases, config))


def train_steps(
    cases: TrainingCases, config: TrainConfig | None = None, cancel: CancelFlag | None = None
) -> Steps[SlideModel]:
    """Train a model step by step; returns it in evaluation mode.

    A case without a label teaches through its transcriptome, a case without a transcriptome through its label. Seeds
    torch's own random numbers.

    Raises
    ------
    Cancelled
        When asked to stop: a half-trained model is not a model.
    InferenceError
        When the device fails or the loss is no longer a number.
    """
    config = config or TrainConfig()
    torch.manual_seed(config.seed)
    model = SlideModel(recipe_of(cases, config))
    _standardise_on(model, np.concatenate(cases.bags))
    with device_failures(config.device):
        model.to(config.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=config.weight_decay)
    has_rna = _has_rna(cases, config)
    total = config.steps + (config.rna_steps if has_rna.any() else 0)
    for step, batch in enumerate(_batches(cases, has_rna, config)):
        if cancel:
            raise Cancelled(f"training was stopped at step {step} of {total}: there is no model.")
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate((step + 1) / total)
        with device_failures(config.device):
            loss = _loss(model, batch, config.weight)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            value = loss.item()
        if not math.isfinite(value):
            raise InferenceError(f"training diverged at step {step} (loss {value}): use a lower learning rate.")
        yield Progress("training", step + 1, total, message=f"loss {value:.3f}")
    _refer_to(model, cases.bags)
    return model.eval()


def recipe_of(cases: TrainingCases, config: TrainConfig) -> Recipe:
    """Return what a network for these cases is built from."""
    objective = None
    if _has_rna(cases, config).any():
        settings = dict(config.objective_settings)
        objective = ObjectivePart(name=config.objective, settings=settings, targets=cases.gene_sets)
    task = tasks[cases.task.name](**cases.task.settings)
    return Recipe(
        patch_encoder=PatchEncoderPart.of(cases.identity),
        slide_encoder=CataloguePart(name=config.slide_encoder, settings=dict(config.settings)),
        task=CataloguePart(name=cases.task.name, settings=dict(task.settings())),
        objective=objective,
    )


def _has_rna(cases: TrainingCases, config: TrainConfig) -> npt.NDArray[np.bool_]:
    if cases.targets is None or not config.objective:
        return np.zeros(len(cases.bags), dtype=bool)
    return np.asarray(np.isfinite(cases.targets).all(axis=1))


def _standardise_on(model: SlideModel, tiles: npt.NDArray[np.float32]) -> None:
    spread = tiles.std(axis=0, dtype=np.float64)
    spread[spread < 1e-6] = 1.0  # a feature that never varies
    model.feature_mean.copy_(torch.from_numpy(tiles.mean(axis=0, dtype=np.float64)))
    model.feature_scale.copy_(torch.from_numpy(spread))


def _refer_to(model: SlideModel, bags: Sequence[npt.NDArray[np.float32]]) -> None:
    means = [model.standardise(torch.from_numpy(bag).to(model.device)).mean(dim=0) for bag in bags]
    model.reference_limit = model.reference.fit(torch.stack(means).double().cpu().numpy())


def _rate(progress: float) -> float:
    """Share of the full learning rate: up over the first twentieth, then down as a cosine to 0."""
    return min(progress / 0.05, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    features: Tensor  # s n d, padded
    real: Tensor  # s n
    wanted: Tensor  # s c, NaN where unknown or not yet wanted
    targets: Tensor  # s g
    has_rna: Tensor  # s


def _batches(cases: TrainingCases, has_rna: npt.NDArray[np.bool_], config: TrainConfig) -> Iterator[_Batch]:
    rng = np.random.default_rng(config.seed)
    has_label = np.isfinite(cases.wanted).any(axis=1)
    nothing = np.full_like(cases.wanted, np.nan)
    stages = ((has_rna, config.rna_steps, nothing), (has_rna | has_label, config.steps, cases.wanted))
    for pool, steps, wanted in stages:
        candidates = np.flatnonzero(pool)
        passes = math.ceil(steps * config.batch / max(len(candidates), 1))
        order = np.concatenate([rng.permutation(candidates) for _ in range(passes)] or [candidates])
        for first in range(0, min(steps * config.batch, len(order)), config.batch):
            yield _padded(cases, order[first : first + config.batch], wanted, has_rna, config, rng)


def _padded(
    cases: TrainingCases,
    chosen: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.float64],
    has_rna: npt.NDArray[np.bool_],
    config: TrainConfig,
    rng: np.random.Generator,
) -> _Batch:
    bags = [_drawn(cases.bags[i], config.tiles, rng) for i in chosen]
    longest = max(map(len, bags))
    features = np.zeros((len(bags), longest, cases.identity.dim), dtype=np.float32)
    real = np.zeros((len(bags), longest), dtype=bool)
    for i, bag in enumerate(bags):
        features[i, : len(bag)], real[i, : len(bag)] = bag, True
    targets = np.zeros((len(cases.bags), 0)) if cases.targets is None else cases.targets
    arrays = features, real, wanted[chosen].astype(np.float32), targets[chosen].astype(np.float32), has_rna[chosen]
    return _Batch(*(torch.from_numpy(array).to(config.device) for array in arrays))


def _drawn(bag: npt.NDArray[np.float32], most: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """At most ``most`` tiles of a bag."""
    return bag if len(bag) <= most else bag[rng.choice(len(bag), most, replace=False)]


def _loss(model: SlideModel, batch: _Batch, weight: float) -> Tensor:
    outputs, encoded = model(model.standardise(batch.features), batch.real)
    loss = model.task.loss(outputs, batch.wanted)
    if model.objective is not None:
        loss = loss + weight * model.objective(encoded.embedding, batch.targets, batch.has_rna)
    return loss
