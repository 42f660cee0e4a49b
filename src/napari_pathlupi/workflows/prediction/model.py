"""A trained network: features of one slide in, answer, attention and evidence out, in one forward pass."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, Recipe
from napari_pathlupi.catalogue import objectives, slide_encoders, tasks
from napari_pathlupi.core.results import NO_ATTENTION, TILE_PROBABILITY, Answer, ReferenceCheck
from napari_pathlupi.errors import InferenceError, MismatchError
from napari_pathlupi.molecular.objectives._objective import Objective
from napari_pathlupi.molecular.objectives.reconstruction import Reconstruction
from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.workflows.prediction.reference import Reference

EXACT, GRADIENT = "exact share of the logit", "gradient × input"


@dataclass(frozen=True, slots=True, eq=False)
class SlideOutput:
    """What a model says of one slide.

    Parameters
    ----------
    answer
        The outputs, as the task reads them.
    outputs
        (C,) what the head gave (for a classification the logits), float32.
    attention
        (N,) share of each tile, float32, sums to 1; None where the slide encoder gives none.
    evidence
        (N, C) how much each tile speaks for each output, float32.
    evidence_method
        `EXACT`: with the bias of the head, the column sums *are* the outputs. `GRADIENT`: first-order only.
    activity
        Gene-set activity that the slide claims, in standard deviations of the training cases; empty without objective.
    reference
        Whether the slide is like those the model learned from.
    embedding
        (width,) what the head read, float32; None of a model that makes none.
    heads
        (N,) as ``attention``, for each head of a slide encoder that has several, by its name.
    """

    answer: Answer
    outputs: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32] | None
    evidence: npt.NDArray[np.float32]
    evidence_method: str
    activity: Mapping[str, float]
    reference: ReferenceCheck
    embedding: npt.NDArray[np.float32] | None = None
    heads: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said beside the answer, one sentence each."""
        silent = self.attention is None and self.evidence_method != TILE_PROBABILITY
        return (NO_ATTENTION,) if silent else ()


class SlideModel(nn.Module):
    """Standardised features, slide encoder, linear head, and the molecular objective it was trained with.

    Parameters
    ----------
    recipe
        What it is built from; a `Card` is one. Weights are random until trained or loaded.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        dim = recipe.patch_encoder.dim
        self.recipe = recipe
        self.reference_limit = 0.0
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_scale", torch.ones(dim))
        self.task: Task = tasks[recipe.task.name](**recipe.task.settings)
        self.slide_encoder: SlideEncoder = self._built(
            slide_encoders[recipe.slide_encoder.name], recipe.slide_encoder, dim
        )
        self.head = nn.Linear(self.slide_encoder.width, self.task.outputs)
        self.objective = self._objective(recipe.objective) if recipe.objective is not None else None
        self.reference = Reference(dim)

    def _objective(self, part: ObjectivePart) -> Objective:
        chosen, (tokens, length) = objectives[part.name], self.slide_encoder.token_shape
        from_tokens = chosen.reads_tokens and tokens > 0
        width = length if from_tokens else self.slide_encoder.width
        objective: Objective = self._built(chosen, part, width, len(part.targets))
        sets = len(objective.sets or part.targets)
        if from_tokens and tokens != sets:
            raise MismatchError(
                f"the slide encoder makes {tokens} tokens and the objective has {sets} gene sets: one token for "
                f"each set is needed, give the slide encoder tokens={sets}."
            )
        return objective

    def _built(self, entry: Any, part: CataloguePart, *shape: int) -> Any:
        given = {"outputs": self.task.outputs} if entry.by_output else {}
        return entry(*shape, **given | part.settings)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.feature_mean.device

    @property
    def evidence_names(self) -> Sequence[str]:
        """What each column of the evidence is about."""
        return self.task.evidence_names

    @property
    def gene_sets(self) -> Sequence[str]:
        """Names of the gene sets that the objective was trained on."""
        if self.objective is None or self.recipe.objective is None:
            return ()
        return self.objective.sets or self.recipe.objective.targets

    @property
    def mapped_sets(self) -> tuple[str, ...]:
        """Gene sets that have a map: of an encoder read in parts, with a token or a linear head for each set."""
        tokens = self.slide_encoder.token_shape[0]
        linear = isinstance(self.objective, Reconstruction) and not tokens
        has = self.slide_encoder.streams and (linear or tokens == len(self.gene_sets))
        return tuple(self.gene_sets) if has else ()

    def standardise(self, features: Float[Tensor, "*tiles dim"]) -> Float[Tensor, "*tiles dim"]:
        """Return features with mean 0 and standard deviation 1 over the training tiles."""
        return (features - self.feature_mean) / self.feature_scale

    def forward(
        self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]
    ) -> tuple[Float[Tensor, "slides outputs"], Encoded]:
        """Return the outputs of the head and the encoded slides; ``features`` are standardised, ``real`` as usual."""
        encoded = self.slide_encoder(features, real)
        return self.head(encoded.embedding), encoded

    def anchor(self, encoded: Encoded) -> Float[Tensor, "slides *tokens part"]:
        """Return what the molecular objective reads: tokens where it can and there are any, else the embedding."""
        if self.objective is not None and self.objective.reads_tokens and encoded.tokens is not None:
            return encoded.tokens
        return encoded.embedding

    def extra_loss(
        self, encoded: Encoded, real: Bool[Tensor, "slides tiles"], wanted: Float[Tensor, "slides columns"]
    ) -> Float[Tensor, ""]:
        """Return what the slide encoder itself wants to learn from the labels of slides; 0 but in a classification."""
        if self.recipe.task.name != "classification":
            return encoded.embedding.new_zeros(())
        return self.slide_encoder.extra_loss(encoded, real, wanted[:, 0].nan_to_num(-1).long())

    def infer(self, features: npt.NDArray[np.float32]) -> SlideOutput:
        """Return what the model says of one slide.

        Parameters
        ----------
        features
            (N, dim) tile vectors of the model's patch encoder, N at least 1.

        Raises
        ------
        MismatchError
            When the vectors are of another length.
        InferenceError
            When there is no tile, a number is not finite, or the device fails.
        """
        dim = len(self.feature_mean)
        if features.ndim != 2 or features.shape[1] != dim:
            raise MismatchError(f"the model reads tiles of {dim} numbers, got an array of shape {features.shape}.")
        if not len(features) or not np.isfinite(features).all():
            raise InferenceError(
                f"{len(features)} tiles, {int((~np.isfinite(features)).sum())} numbers not finite: "
                "a model needs at least one tile and only finite features; embed the slide again."
            )
        with device_failures(str(self.device)):
            return self._infer(features)

    def _infer(self, features: npt.NDArray[np.float32]) -> SlideOutput:
        tiles = self.standardise(torch.tensor(features, dtype=self.feature_mean.dtype, device=self.device))  # n d
        real = torch.ones(1, len(tiles), dtype=torch.bool, device=self.device)
        with torch.no_grad():
            outputs, encoded = self(tiles[None], real)
            evidence, method = self.slide_encoder.evidence(tiles, self.head.weight), EXACT
            activity = self.objective.activity(self.anchor(encoded)) if self.objective is not None else None
            distance = float(self.reference(tiles.mean(dim=0)))
        if evidence is None:
            evidence, method = self._gradient_evidence(tiles, real), GRADIENT
        return SlideOutput(
            answer=self.task.answer(outputs[0]),
            outputs=_numpy(outputs[0]),
            attention=None if encoded.attention is None else _numpy(encoded.attention[0]),
            evidence=_numpy(evidence),
            evidence_method=method,
            activity={} if activity is None else dict(zip(self.gene_sets, activity[0].tolist(), strict=True)),
            reference=ReferenceCheck(distance, self.reference_limit),
            embedding=_numpy(encoded.embedding[0]),
            heads=self._heads(encoded),
        )

    def _heads(self, encoded: Encoded) -> dict[str, npt.NDArray[np.float32]]:
        """The share of each tile in each head; tokens are too many to be shown, and `infer_stream` maps theirs."""
        heads = encoded.heads
        if heads is None or heads.shape[1] < 2 or self.slide_encoder.token_shape[0]:
            return {}
        of_outputs = self.slide_encoder.by_output and heads.shape[1] == self.task.outputs
        names = self.evidence_names if of_outputs else [f"head {i + 1}" for i in range(heads.shape[1])]
        return {name: _numpy(heads[0, i]) for i, name in enumerate(names)}

    def _gradient_evidence(self, tiles: Tensor, real: Tensor) -> Tensor:
        with torch.enable_grad():
            tiles = tiles.detach().requires_grad_()
            outputs = self(tiles[None], real)[0][0]
            slopes = [torch.autograd.grad(output, tiles, retain_graph=True)[0] for output in outputs]
        return torch.stack([(slope * tiles).sum(dim=1) for slope in slopes], dim=1).detach()


@contextmanager
def device_failures(device: str) -> Iterator[None]:
    """Turn what torch raises when a device fails into one sentence."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InferenceError(
            f"the network failed on {device}: {first} Choose another device (cpu) and try again."
        ) from error


def _numpy(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
