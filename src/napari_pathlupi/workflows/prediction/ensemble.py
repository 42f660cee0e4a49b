"""Several models as one: what their folds say on average, and how far they agree."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.bundle import About, Bundle, Card, Recipe, Tensors, save_bundle
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.claims import ClaimCheck
from napari_pathlupi.core.results import ReferenceCheck
from napari_pathlupi.errors import BundleError, MismatchError, NotFoundError
from napari_pathlupi.workflows.prediction.model import SlideModel, SlideOutput, device_failures

HALF, SINGLE = "float16", "float32"
GOLDEN_TOLERANCE = 1e-3
"""Our choice: far above what devices differ by, far below what changes an answer."""
EMBEDDING_PARTS = ("slide_encoder.", "feature_mean", "feature_scale")
"""How the names of the tensors begin that an embedding depends on."""


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Models of one recipe whose outputs are averaged.

    The mean is that of the outputs, not of the probabilities (our choice): it keeps a tile's evidence an exact share of
    the logit. What it means is the task's to say: of survival and values the answer is the mean of what the models say.

    Parameters
    ----------
    models
        In evaluation mode, on one device; those trained without expression have no objective.
    calibration
        What their validation cases say of their numbers; None without.
    reference_limit
        Distance above which a slide is not supported.
    slides
        What they learned several slides of a case as; see `Card`.
    checks
        By gene set, how far their claims went with what was measured of their test cases.
    """

    models: tuple[SlideModel, ...]
    calibration: Calibration | None = None
    reference_limit: float = 0.0
    slides: Literal["union", "mean"] = "union"
    checks: Mapping[str, ClaimCheck] = field(default_factory=dict)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str = "cpu") -> Self:
        """Return the models of a bundle, on a device, after they reproduced their golden example there.

        Raises
        ------
        BundleError
            When card and weights do not fit, or the example comes out otherwise.
        InferenceError
            When the device fails.
        """
        card = bundle.card
        models = tuple(_built(card, part, device) for part in _members(bundle))
        try:
            calibration = Calibration.of(card.calibration) if card.calibration else None
        except (TypeError, ValueError) as error:
            raise BundleError(f"the calibration of the model {card.name} is none ({error}): copy it again.") from error
        checks = {name: ClaimCheck.of(entry) for name, entry in card.claims.items()}
        ensemble = cls(models, calibration, card.reference_limit, card.slides, checks)
        ensemble._must_reproduce(bundle)
        return ensemble

    @property
    def evidence_names(self) -> Sequence[str]:
        """What each output stands for."""
        return self.models[0].evidence_names

    @property
    def mapped_sets(self) -> tuple[str, ...]:
        """Gene sets that have a map: those of the models trained with expression."""
        return next((model.mapped_sets for model in self.models if model.objective is not None), ())

    @property
    def embeds_by(self) -> str:
        """What makes its embeddings: the slide encoder, a digest of its weights, and the patch encoder.

        Two models have the same where they share the slide encoder, whatever their heads say.
        """
        digest, recipe = hashlib.sha256(), self.models[0].recipe
        for model in self.models:
            for name, tensor in sorted(model.state_dict().items()):
                if name.startswith(EMBEDDING_PARTS):
                    digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
        return f"{recipe.slide_encoder.name} {digest.hexdigest()[:12]} on {recipe.patch_encoder.identity}"

    def infer(self, features: npt.NDArray[np.float32]) -> SlideOutput:
        """Return what the models say of one slide together; parameters and errors as of `SlideModel.infer`.

        The embeddings of several models stand one behind the other, as each has a space of its own (our choice). Heads
        of attention are told of one model, or where a head stands for an output in all.
        """
        said = [model.infer(features) for model in self.models]
        outputs = np.stack([one.outputs for one in said])
        mean = outputs.mean(axis=0)
        attention = [one.attention for one in said if one.attention is not None]
        distance = float(np.mean([one.reference.distance for one in said]))
        answer = self.models[0].task.answer(
            torch.from_numpy(mean), self.calibration, torch.from_numpy(outputs) if len(said) > 1 else None
        )
        return replace(
            said[0],
            answer=answer,
            outputs=mean,
            attention=np.mean(attention, axis=0) if len(attention) == len(said) else None,
            evidence=np.mean([one.evidence for one in said], axis=0),
            activity=_mean([one.activity for one in said if one.activity]),
            reference=ReferenceCheck(distance, self.reference_limit),
            embedding=np.concatenate([one.embedding for one in said if one.embedding is not None]),
            heads=self._heads(said),
        )

    def _heads(self, said: Sequence[SlideOutput]) -> Mapping[str, npt.NDArray[np.float32]]:
        if len(said) == 1 or not self.models[0].slide_encoder.by_output:
            return said[0].heads if len(said) == 1 else {}
        return {name: np.mean([one.heads[name] for one in said], axis=0) for name in said[0].heads}

    def _must_reproduce(self, bundle: Bundle) -> None:
        golden, name = bundle.golden, bundle.card.name
        looks = {"attention"} if self.models[0].slide_encoder.gives_attention else set()
        if missing := ({"features", "outputs"} | looks) - set(golden):
            raise BundleError(f"the golden example of the model {name} lacks {', '.join(sorted(missing))}.")
        try:
            output = self.infer(golden["features"])
        except MismatchError as error:
            raise BundleError(f"the golden example of the model {name} is not for it: {error}") from error
        pairs = [(output.outputs, golden["outputs"], 1)]
        if output.attention is not None:  # in units of an even spread, so that it is of the size of the outputs
            pairs.append((output.attention, golden["attention"], len(golden["features"])))
        alike = all(said.shape == wanted.shape for said, wanted, _ in pairs)
        difference = max(float(np.abs(said - wanted).max()) * unit for said, wanted, unit in pairs) if alike else np.inf
        if not difference <= GOLDEN_TOLERANCE:
            raise BundleError(
                f"the model {name} does not reproduce its own golden example (difference {difference:.2g}): it is not "
                "used."
            )


def save_ensemble(
    folder: str | Path,
    ensemble: Ensemble,
    about: About,
    golden_features: npt.NDArray[np.float32],
    storage: str = HALF,
) -> Bundle:
    """Write models as one bundle, with what they say of one small bag as the golden example.

    Parameters
    ----------
    folder
        Where to, new.
    ensemble
        What to write.
    about
        What people must know of it.
    golden_features
        (N, dim) features of a few tiles, best of a case that was held back.
    storage
        "float16" rounds what was learned, where no number is too large for it; what was counted stays "float32".

    Raises
    ------
    OutputError
        When the folder is taken or cannot be written.
    """
    card = _card(ensemble, about)
    parts = [_stored(model, storage) for model in ensemble.models]
    loaded = tuple(_built(card, part, "cpu") for part in parts)  # as rounded
    output = replace(ensemble, models=loaded).infer(golden_features)
    golden = {"features": golden_features, "outputs": output.outputs}
    if output.attention is not None:
        golden["attention"] = output.attention
    weights = parts[0] if len(parts) == 1 else {f"{i}/{key}": part[key] for i, part in enumerate(parts) for key in part}
    return save_bundle(folder, card, weights, golden)


def _built(card: Card, tensors: Tensors, device: str) -> SlideModel:
    """A member of these weights, in evaluation mode."""
    try:
        model = SlideModel(_recipe(card, tensors))
    except (NotFoundError, MismatchError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise BundleError(f"the model {card.name} cannot be built: {error} Install a newer napari-pathlupi.") from error
    try:
        model.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    except RuntimeError as error:
        raise BundleError(f"the weights of the model {card.name} do not fit its card: {error}") from error
    model.reference_limit = card.reference_limit
    with device_failures(device):
        model.to(device)
    return model.eval()


def _card(ensemble: Ensemble, about: About) -> Card:
    fullest = next((model for model in ensemble.models if model.objective is not None), ensemble.models[0])
    return Card(
        **dict(about),
        **{part: getattr(fullest.recipe, part) for part in Recipe.model_fields},
        reference_limit=ensemble.reference_limit,
        members=len(ensemble.models),
        calibration=ensemble.calibration.as_dict() if ensemble.calibration else None,
        slides=ensemble.slides,
        claims={name: check.entry for name, check in ensemble.checks.items()},
    )


def _stored(model: SlideModel, storage: str) -> dict[str, npt.NDArray[np.float32]]:
    learned = {name for name, _ in model.named_parameters()}
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    for name in learned if storage == HALF else ():
        if np.abs(tensors[name]).max(initial=0) <= np.finfo(np.float16).max:
            tensors[name] = tensors[name].astype(np.float16)
    return tensors


def _members(bundle: Bundle) -> list[Tensors]:
    """The tensors of each model, by their own names."""
    if bundle.card.members == 1:
        return [bundle.tensors]
    parts: list[dict[str, npt.NDArray[np.float32]]] = [{} for _ in range(bundle.card.members)]
    for key, tensor in bundle.tensors.items():
        number, _, name = key.partition("/")
        if not number.isdecimal() or int(number) >= len(parts):
            raise BundleError(f"the model {bundle.card.name} has {len(parts)} folds, and weights called {key}.")
        parts[int(number)][name] = tensor
    return list(parts)


def _recipe(card: Card, tensors: Tensors) -> Recipe:
    """What a member is built from: without the objective where it was trained without."""
    anchored = any(name.startswith("objective.") for name in tensors)
    return card if anchored or card.objective is None else card.model_copy(update={"objective": None})


def _mean(activities: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not activities:
        return {}
    return {name: float(np.mean([one[name] for one in activities if name in one])) for name in activities[0]}
