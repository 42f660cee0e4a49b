"""Train a slide model on bags of tile vectors, with expression as privileged information."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.catalogue import objectives, slide_encoders, tasks
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, run
from napari_pathlupi.errors import Cancelled, InferenceError, SettingsError
from napari_pathlupi.workflows.parallel import agreed, rank, sum_gradients, summed
from napari_pathlupi.workflows.prediction.model import SlideModel, device_failures
from napari_pathlupi.workflows.training.bags import MIN_CASES, Bags, TrainingCases
from napari_pathlupi.workflows.training.train_batches import Batch, Schedule
from napari_pathlupi.workflows.training.train_config import TrainConfig
from napari_pathlupi.workflows.training.train_start import begin_from
from napari_pathlupi.workflows.training.train_state import Check, State, new_state, read_state, write_state
from napari_pathlupi.workflows.training.validation import HeldOut

__all__ = [
    "MIN_CASES",
    "HeldOut",
    "TrainConfig",
    "Trained",
    "TrainingCases",
    "Watch",
    "train",
    "train_steps",
    "watched_steps",
]

PRECISIONS = {"": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SMOOTHED = 3
"""A score is the mean of this many checks in a row: a single one is chance (our choice)."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a training is looked at and kept.

    Parameters
    ----------
    validation
        Cases to score it on at the checks.
    state
        File that holds where it is, so that a run that was killed goes on to the same weights.
    tell
        Called with each check as JSON values.
    """

    validation: HeldOut | None = None
    state: Path | None = None
    tell: Callable[[Mapping[str, Any]], None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model, and how it got there.

    Parameters
    ----------
    model
        In evaluation mode.
    checks
        Loss and score at the checks.
    """

    model: SlideModel
    checks: Sequence[Check]

    @property
    def score(self) -> float:
        """The smoothed score at the end; NaN without validation cases."""
        return smoothed(self.checks)


def train(cases: TrainingCases, config: TrainConfig | None = None) -> SlideModel:
    """Return a trained model; see `train_steps`."""
    return run(train_steps(cases, config))


def train_steps(
    cases: TrainingCases, config: TrainConfig | None = None, cancel: CancelFlag | None = None
) -> Steps[SlideModel]:
    """Train a model step by step; returns it in evaluation mode. See `watched_steps`."""
    return (yield from watched_steps(cases, config or TrainConfig(), Watch(), cancel)).model


def watched_steps(
    cases: TrainingCases, config: TrainConfig, watch: Watch, cancel: CancelFlag | None = None
) -> Steps[Trained]:
    """Train a model step by step and return it with its checks.

    A case without a label teaches through its transcriptome, a case without a transcriptome through its label. Seeds
    torch's own random numbers at every step.

    Raises
    ------
    Cancelled
        When asked to stop: a half-trained model is not a model, but its state is kept.
    InferenceError
        When the device fails or the loss is no longer a number.
    MismatchError
        When the state is that of another training.
    """
    schedule = Schedule(cases, _has_rna(cases, config), config)
    state = _begun(cases, config, watch)
    while state.step < schedule.total and not _gives_up(state.checks, config):
        if cancel:
            _keep(watch, state)
            raise Cancelled(f"training was stopped at step {state.step} of {schedule.total}: there is no model.")
        with device_failures(config.device):
            value = _step(state, schedule, config)
        if not math.isfinite(value):
            raise InferenceError(f"training diverged at step {state.step} (loss {value}): use a lower learning rate.")
        state.step += 1
        state.losses.append(value)
        with device_failures(config.device):
            _look(state, schedule.total, config, watch)
        if state.step % config.save_every == 0 or state.step == schedule.total:
            _keep(watch, state)
        yield Progress("training", state.step, schedule.total, message=f"loss {value:.3f}")
    _keep(watch, state)
    _refer_to(state.model, cases.looked_at)
    return Trained(state.model.eval(), tuple(state.checks))


def _begun(cases: TrainingCases, config: TrainConfig, watch: Watch) -> State[SlideModel]:
    """Where the training is: at its start, or where it was saved."""
    torch.manual_seed(config.seed)
    model = _built(recipe_of(cases, config))
    with device_failures(config.device):
        _standardise_on(model, cases.looked_at)
        if config.start:
            begin_from(model, config.start)
        model.to(config.device).train()
        _prepare(model, cases)
    state = new_state(model, config, cases)
    if watch.state is not None and watch.state.exists():
        read_state(watch.state, state)
    return state


def _built(recipe: Recipe) -> SlideModel:
    """A new network, or what is wrong with its settings in one sentence."""
    try:
        return SlideModel(recipe)
    except (TypeError, ValueError) as error:
        parts = [recipe.slide_encoder, *([recipe.objective] if recipe.objective else [])]
        words = " and ".join(f"{part.name} with {part.settings or 'its own settings'}" for part in parts)
        misfits = [_misfit(recipe.slide_encoder, slide_encoders, "settings")]
        misfits += [_misfit(recipe.objective, objectives, "objective_settings")] if recipe.objective else []
        why = "; ".join(filter(None, misfits)) or f"{error}; change the settings of the training"
        raise SettingsError(f"{words[:500]} cannot be built: {why}.") from error


def _misfit(part: CataloguePart, room: Mapping[str, Any], key: str) -> str:
    """Which settings an entry of a catalogue does not have, and what to write; "" where it has them all."""
    known = [name for name, one in signature(room[part.name]).parameters.items() if one.default is not one.empty]
    strange = [name for name in part.settings if name not in known]
    if not strange:
        return ""
    instead = f"take it from {', '.join(known)}" if known else f"write training.{key} = {{}}"
    return f"{part.name} has no setting {' or '.join(strange)}, {instead}"


def _prepare(model: SlideModel, cases: TrainingCases) -> None:
    if model.objective is not None and cases.targets is not None:
        targets, wanted = (
            torch.from_numpy(array.astype(np.float32)).to(model.device) for array in (cases.targets, cases.wanted)
        )
        model.objective.prepare(targets, wanted, model.task.loss)


def _step(state: State[SlideModel], schedule: Schedule, config: TrainConfig) -> float:
    """One step of the optimiser; returns the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate((state.step + 1) / schedule.total, config.warm_up)
    state.optimiser.zero_grad()
    whole = torch.zeros((), device=config.device)
    for batch in schedule.parts(state.step):
        with torch.autocast(torch.device(config.device).type, PRECISIONS[config.amp], enabled=bool(config.amp)):
            loss = _loss(state.model, batch, config.weight)
        state.scaler.scale(loss).backward()
        whole += loss.detach()
    sum_gradients(state.model)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    return summed(whole).item()


def _look(state: State[SlideModel], total: int, config: TrainConfig, watch: Watch) -> None:
    """A check, where this step is one."""
    due = config.checks and state.step * config.checks // total > (state.step - 1) * config.checks // total
    if not due:
        return
    score = math.nan
    if watch.validation is not None:
        score = agreed(watch.validation.score(state.model.eval()), config.device)
        state.model.train()
    state.checks.append(Check(state.step, float(np.mean(state.losses)), score))
    state.losses.clear()
    if watch.tell and not rank():
        watch.tell(
            {"step": state.step, "loss": state.checks[-1].loss, "score": score if math.isfinite(score) else None}
        )


def _gives_up(checks: Sequence[Check], config: TrainConfig) -> bool:
    if not config.patience or len(checks) < SMOOTHED + config.patience:
        return False
    scores = [smoothed(checks[: i + 1]) for i in range(SMOOTHED - 1, len(checks))]
    return bool(np.nanargmax([*scores, -math.inf]) < len(scores) - config.patience)


def smoothed(checks: Sequence[Check]) -> float:
    """Return the mean score of the last checks."""
    return float(np.mean([check.score for check in checks[-SMOOTHED:]])) if checks else math.nan


def _keep(watch: Watch, state: State[SlideModel]) -> None:
    if watch.state is not None and not rank():
        write_state(watch.state, state)


def recipe_of(cases: TrainingCases, config: TrainConfig) -> Recipe:
    """Return what a network for these cases is built from."""
    objective = None
    if _has_rna(cases, config).any():
        settings = dict(config.objective_settings)
        objective = ObjectivePart(name=config.objective, settings=settings, targets=cases.gene_sets)
    task = tasks[cases.task.name](**cases.task.settings).fitted(cases.wanted)
    return Recipe(
        patch_encoder=PatchEncoderPart.of(cases.identity),
        slide_encoder=CataloguePart(name=config.slide_encoder, settings=dict(config.settings)),
        task=CataloguePart(name=cases.task.name, settings=dict(task.settings())),
        objective=objective,
    )


def _has_rna(cases: TrainingCases, config: TrainConfig) -> npt.NDArray[np.bool_]:
    if cases.targets is None or not config.objective or not config.weight:
        return np.zeros(len(cases.wanted), dtype=bool)
    return np.asarray(np.isfinite(cases.targets).any(axis=1))


def _standardise_on(model: SlideModel, bags: Bags) -> None:
    mean, spread = bags.moments()
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_scale.copy_(torch.from_numpy(spread))


def _refer_to(model: SlideModel, bags: Bags) -> None:
    mean, spread = (part.cpu().numpy() for part in (model.feature_mean, model.feature_scale))
    model.reference_limit = model.reference.fit((bags.means() - mean) / spread)


def _rate(progress: float, warm_up: float) -> float:
    """Share of the full learning rate: up, then down as a cosine to 0; see `TrainConfig`."""
    if warm_up:
        late = max(progress - warm_up, 0) / (1 - warm_up)
        return min(progress / warm_up, 1.0) * 0.5 * (1 + math.cos(math.pi * late))
    return min(progress / 0.05, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


def _loss(model: SlideModel, batch: Batch, weight: float) -> Tensor:
    encoded = model.slide_encoder(model.standardise(batch.features), batch.real)
    outputs = model.head(batch.by_case(encoded.embedding)).float()
    told = model.task.loss(outputs, batch.wanted)
    told = told + model.extra_loss(encoded, batch.real, batch.by_slide(batch.wanted))
    loss = batch.task_share * told
    if model.objective is not None:
        anchored = model.objective(batch.by_case(model.anchor(encoded)), batch.targets, batch.has_rna)
        loss = loss + weight * batch.rna_share * anchored
    return loss
