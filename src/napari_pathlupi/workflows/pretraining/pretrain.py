"""Pre-train a slide encoder: a slide's embedding must find what was measured of its patient, and be found by it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import molecular_encoders, slide_encoders
from napari_pathlupi.core.progress import CancelFlag, Progress
from napari_pathlupi.core.progress import Steps as Yields
from napari_pathlupi.errors import Cancelled, InferenceError, OutputError, SettingsError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.molecular.encoders._encoder import MolecularEncoder
from napari_pathlupi.molecular.encoders.scgpt import ScGPT
from napari_pathlupi.molecular.scgpt_files import read_scgpt
from napari_pathlupi.slide_encoders._encoder import SlideEncoder
from napari_pathlupi.workflows.parallel import rank, sum_gradients
from napari_pathlupi.workflows.prediction.model import device_failures
from napari_pathlupi.workflows.pretraining.config import RANK, PretrainConfig
from napari_pathlupi.workflows.pretraining.contrast import SmoothRank, gathered, pair_loss
from napari_pathlupi.workflows.pretraining.pairs import KINDS, PairedCases, Part, Step, Steps
from napari_pathlupi.workflows.training.train import PRECISIONS, Watch
from napari_pathlupi.workflows.training.train_state import DAMAGED, Check, State, digest_of, read_state, write_state

NO_INFLUENCE = ("device", "readers")
"""Settings that may change between two parts of a run."""


class PairedNetwork(nn.Module):
    """A slide encoder and the molecular encoders that it is pre-trained with.

    Parameters
    ----------
    dim
        Length of a tile's vector.
    slide_encoder
        Name and settings.
    molecular
        By kind, name and settings of each and the columns it reads; their vectors are as long as the embedding.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(
        self, dim: int, slide_encoder: CataloguePart, molecular: Mapping[str, tuple[CataloguePart, tuple[str, ...]]]
    ) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_scale", torch.ones(dim))
        self.slide_encoder: SlideEncoder = slide_encoders[slide_encoder.name](dim, **slide_encoder.settings)
        width = {"width": self.slide_encoder.width}
        self.molecular = nn.ModuleDict(
            {
                kind: molecular_encoders[part.name](columns, **{**part.settings, **width})
                for kind, (part, columns) in molecular.items()
            }
        )

    def standardise(self, features: Float[Tensor, "*tiles dim"]) -> Float[Tensor, "*tiles dim"]:
        """Return features with mean 0 and standard deviation 1 over the tiles that were looked at."""
        return (features - self.feature_mean) / self.feature_scale

    def forward(
        self,
        features: Float[Tensor, "cases tiles dim"],
        real: Bool[Tensor, "cases tiles"],
        molecules: Mapping[str, Tensor],
    ) -> Float[Tensor, "cases kinds width"]:
        """Return the vector of each case's slides, then one per kind of measurement, 0 where there is none."""
        slides = self.slide_encoder(self.standardise(features), real).embedding.float()
        nothing = torch.zeros_like(slides)
        measured = [self.measured(kind, molecules[kind], nothing) if kind in molecules else nothing for kind in KINDS]
        return torch.stack([slides, *measured], dim=1)

    def measured(
        self, kind: str, values: Float[Tensor, "cases columns"], nothing: Float[Tensor, "cases width"]
    ) -> Float[Tensor, "cases width"]:
        """Return the vectors of what was measured, in the place of the rows of ``nothing`` that have something."""
        known = values.isfinite().any(dim=1)
        return nothing.index_put((known,), self.molecular[kind](values[known]).float()) if known.any() else nothing


@dataclass(frozen=True, slots=True, eq=False)
class Pretraining:
    """A pre-trained network, and how it got there.

    Parameters
    ----------
    network
        Of the chosen epoch, in evaluation mode.
    epoch
        Which that is, from 1.
    checks
        Mean loss and rank of each epoch; their ``step`` is the number of the epoch.
    """

    network: PairedNetwork
    epoch: int
    checks: tuple[Check, ...]


def pretrain_steps(
    cases: PairedCases, config: PretrainConfig, watch: Watch | None = None, cancel: CancelFlag | None = None
) -> Yields[Pretraining]:
    """Pre-train step by step; return the network of the epoch whose embeddings fill the most directions.

    The rank (`SmoothRank`) is that of the slide embeddings that the steps of an epoch made, from drawn tiles and with
    dropout, which cost nothing more (our choice). Before the end of the warm-up no epoch is chosen; where there are no
    more epochs than that, the last is. The state is kept after every epoch: a run that was killed goes on from there to
    the same weights.

    Raises
    ------
    Cancelled
        When asked to stop; the last whole epoch is kept.
    InferenceError
        When the device fails or the loss is no longer a number.
    MismatchError
        When the state is that of another pre-training, or a bag has other vectors than the others.
    OutputError
        When the state cannot be written, or is damaged.
    """
    watch = watch or Watch()
    state, steps = begun(cases, config, watch.state), Steps(cases, config)
    best = _Best(watch.state)
    while len(state.checks) < config.epochs:
        yield from _epoch(state, steps, config, cancel)
        best.look(state, config)
        if watch.state is not None and not rank():
            write_state(watch.state, state)
        if watch.tell is not None:
            last = state.checks[-1]
            rate = state.optimiser.param_groups[0]["lr"]
            told = {"epoch": last.step, "loss": last.loss, "rank": last.score, "rate": rate}
            watch.tell(told | {"best": chosen_epoch(state.checks, config)})
    state.model.load_state_dict(best.weights(state.model))
    return Pretraining(state.model.eval(), chosen_epoch(state.checks, config), tuple(state.checks))


def chosen_epoch(checks: Sequence[Check], config: PretrainConfig) -> int:
    """Return the epoch that is taken so far; of equal ranks the first, and the last where none counts."""
    known = checks[config.warm_up :] if config.choose == RANK else ()
    return max(known, key=lambda check: check.score).step if known else len(checks)


class _Best:
    """The weights of the chosen epoch; beside the state where that is kept."""

    def __init__(self, state: Path | None) -> None:
        self._path, self._weights = state and state.with_name("best.pt"), b""

    def look(self, state: State[PairedNetwork], config: PretrainConfig) -> None:
        if chosen_epoch(state.checks, config) != len(state.checks):
            return
        content = BytesIO()
        torch.save(state.model.state_dict(), content)
        self._weights = content.getvalue()
        if self._path is not None and not rank():
            write_whole(self._path, self._weights)

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Those of the network, which was built alike."""
        device, path = next(model.parameters()).device, self._path
        try:
            if not self._weights and path is not None:
                self._weights = path.read_bytes()
            loaded: dict[str, Tensor] = torch.load(BytesIO(self._weights), map_location=device, weights_only=True)
        except DAMAGED as error:
            raise OutputError(f"{path} is absent or damaged ({error}): delete the run, and begin it anew.") from error
        return loaded


def begun(cases: PairedCases, config: PretrainConfig, kept: Path | None = None) -> State[PairedNetwork]:
    """Return where a pre-training is: at its start, or where it was kept."""
    torch.manual_seed(config.seed)
    model = network_for(cases, config)
    mean, spread = cases.moments(config.seed)
    model.feature_mean.copy_(torch.from_numpy(mean))
    model.feature_scale.copy_(torch.from_numpy(spread))
    for kind, one in cases.molecules.items():
        encoder: MolecularEncoder = model.molecular[kind]  # type: ignore[assignment]
        encoder.fit(torch.from_numpy(one.values[one.known]))
        if one.weights:
            assert isinstance(encoder, ScGPT)
            read_scgpt(one.weights).fill(encoder, one.columns)
    with device_failures(config.device):
        model.to(config.device).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, config.beta2), weight_decay=config.weight_decay
    )
    scaler = torch.amp.GradScaler(torch.device(config.device).type, enabled=config.amp == "fp16")
    told = [np.array([len(tiles) for tiles in cases.tiles]), *(one.values for one in cases.molecules.values())]
    state = State(model, optimiser, scaler, digest_of(config, NO_INFLUENCE, repr(cases.names), told))
    if kept is not None and kept.exists():
        read_state(kept, state)
    return state


def network_for(cases: PairedCases, config: PretrainConfig) -> PairedNetwork:
    """Return the network for these cases, its weights random.

    Raises
    ------
    SettingsError
        When an encoder cannot be built with its settings.
    """
    molecular = {kind: (one.encoder, one.columns) for kind, one in cases.molecules.items()}
    part = CataloguePart(name=config.slide_encoder, settings=dict(config.settings))
    try:
        return PairedNetwork(cases.identity.dim, part, molecular)
    except (TypeError, ValueError) as error:
        words = ", ".join(f"{one.name} with {one.settings}" for one in (part, *(one for one, _ in molecular.values())))
        raise SettingsError(f"{words[:500]} cannot be built: {error}; change their settings.") from error


def _epoch(
    state: State[PairedNetwork], steps: Steps, config: PretrainConfig, cancel: CancelFlag | None
) -> Yields[None]:
    epoch, total = len(state.checks), config.epochs * steps.per_epoch
    rank_of_epoch, losses = SmoothRank(state.model.slide_encoder.width), []
    for number, step in enumerate(steps.of_epoch(epoch)):
        if cancel:
            raise Cancelled(f"pre-training was stopped in epoch {epoch + 1} of {config.epochs}: the others are kept.")
        done = epoch * steps.per_epoch + number
        for group in state.optimiser.param_groups:
            group["lr"] = rate_at(done, steps.per_epoch, config)
        with device_failures(config.device):
            loss, slides = loss_and_gradients(state, step, config)
            if not math.isfinite(loss):
                raise InferenceError(f"pre-training diverged in epoch {epoch + 1} (loss {loss}): use a lower rate.")
            _move(state, config)
            rank_of_epoch.add(slides)
        losses.append(loss)
        yield Progress("Pre-training", done + 1, total, message="")
    state.step = (epoch + 1) * steps.per_epoch
    state.checks.append(Check(epoch + 1, float(np.mean(losses)), rank_of_epoch.value))


def rate_at(step: int, per_epoch: int, config: PretrainConfig) -> float:
    """Return the learning rate of a step: up in a straight line, then down as a cosine."""
    up, total = config.warm_up * per_epoch, config.epochs * per_epoch
    if step < up:
        return config.learning_rate * (step + 1) / up
    falling = 0.5 * (1 + math.cos(math.pi * (step - up) / max(total - up - 1, 1)))
    return config.end_rate + (config.learning_rate - config.end_rate) * falling


def loss_and_gradients(
    state: State[PairedNetwork], step: Step, config: PretrainConfig
) -> tuple[float, Float[Tensor, "cases width"]]:
    """Return the loss of a step over all processes and its slide embeddings, and leave the gradients in the network.

    Every process computes the loss of all cases and passes on the gradients of its own; their sum is that of the step.
    Where a process has several parts, they are encoded twice, first without and then with gradients (Gao et al.,
    "Scaling deep contrastive learning batch size under memory limited setup", 2021).
    """
    state.optimiser.zero_grad()
    at_once = len(step.parts) == 1
    first = [_encoded(state.model, part, config, at_once) for part in step.parts]
    width = state.model.slide_encoder.width
    none = torch.zeros(0, 1 + len(KINDS), width, device=config.device)
    whole = gathered(torch.cat([none, *(part.detach() for part in first)]), step.counts).requires_grad_()
    loss = pair_loss(whole, step.paired.to(whole.device), config.temperature)
    state.scaler.scale(loss).backward()
    assert whole.grad is not None
    gradients = torch.split(whole.grad[step.own], [len(part) for part in step.parts])
    for i, (part, gradient) in enumerate(zip(step.parts, gradients, strict=True)):
        torch.autograd.backward(first[i] if at_once else _encoded(state.model, part, config, True), gradient)
    sum_gradients(state.model)
    return loss.item(), whole.detach()[:, 0]


def _encoded(model: PairedNetwork, part: Part, config: PretrainConfig, remember: bool) -> Tensor:
    torch.manual_seed(part.seed)
    device = torch.device(config.device)
    autocast = torch.autocast(device.type, PRECISIONS[config.amp], enabled=bool(config.amp))
    with torch.set_grad_enabled(remember), autocast:
        molecules = {kind: values.to(device) for kind, values in part.molecules.items()}
        vectors: Tensor = model(part.features.to(device), part.real.to(device), molecules)
    return vectors


def _move(state: State[PairedNetwork], config: PretrainConfig) -> None:
    """One step of the optimiser."""
    state.scaler.unscale_(state.optimiser)
    if config.clip:
        nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    state.scaler.step(state.optimiser)
    state.scaler.update()
