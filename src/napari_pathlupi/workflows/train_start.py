"""Where a training begins from weights that are there already: a slide encoder that was pre-trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_pathlupi.bundle import CARD, WEIGHTS
from napari_pathlupi.errors import MismatchError, WeightsError

if TYPE_CHECKING:
    from napari_pathlupi.workflows.model import SlideModel

PART = "slide_encoder."
"""What the tensors of the slide encoder are called by in a file of weights, as in a bundle."""
MOMENTS = ("feature_mean", "feature_scale")
"""What tiles were standardised with; a file without them means tiles as they are."""


def begin_from(model: "SlideModel", place: str | Path) -> None:
    """Give a new model the slide encoder of a file, and the standardising of tiles that it was trained with.

    The head stays as it is: it begins anew.

    Parameters
    ----------
    model
        Built with the same slide encoder and settings.
    place
        A safetensors file, or a folder with ``weights.safetensors``, such as a bundle of one model.

    Raises
    ------
    WeightsError
        When it is absent or damaged, holds no slide encoder, or an ensemble of several.
    MismatchError
        When a tensor is missing, left over or of another shape; the first is named with both shapes.
    """
    tensors = _tensors(Path(place))
    encoder = {name.removeprefix(PART): tensor for name, tensor in tensors.items() if name.startswith(PART)}
    if not encoder:
        several = any(name.startswith(f"0/{PART}") for name in tensors)
        raise WeightsError(
            f"{place} holds {'an ensemble of several models' if several else 'no tensors called ' + PART + '…'}: give "
            "the weights of one slide encoder."
        )
    own = model.slide_encoder.state_dict()
    for name in sorted({*own, *encoder}):
        shapes = [tuple(part[name].shape) if name in part else "absent" for part in (own, encoder)]
        if shapes[0] != shapes[1]:
            raise MismatchError(
                f"{place} holds another slide encoder: {name} is {shapes[1]} there and {shapes[0]} in the model; build "
                "it with the settings that it was trained with."
            )
    model.slide_encoder.load_state_dict(encoder)
    mean, scale = torch.zeros_like(model.feature_mean), torch.ones_like(model.feature_scale)
    model.feature_mean.copy_(_moment(tensors, MOMENTS[0], mean, place))
    model.feature_scale.copy_(_moment(tensors, MOMENTS[1], scale, place))


def settings_beside(place: str | Path) -> Mapping[str, Any]:
    """Return name and settings of the slide encoder as the card beside the weights says; empty without a card.

    Raises
    ------
    WeightsError
        When the card is damaged.
    """
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    card = folder / CARD
    if not card.is_file():
        return {}
    try:
        part = json.loads(card.read_text(encoding="utf-8"))["slide_encoder"]
        return {"slide_encoder": str(part["name"]), "settings": dict(part.get("settings", {}))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{card} says nothing of a slide encoder ({error}): copy the folder again.") from error


def _tensors(place: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = place / WEIGHTS if place.is_dir() else place
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{file} cannot be read as safetensors ({error}): give a whole file of weights.") from error


def _moment(tensors: Mapping[str, Tensor], name: str, otherwise: Tensor, place: str | Path) -> Tensor:
    found = tensors.get(name, otherwise)
    if found.shape != otherwise.shape:
        raise MismatchError(
            f"{place} was trained on tiles of {len(found)} numbers, these have {len(otherwise)}: embed the slides with "
            "the patch encoder that it was trained on."
        )
    return found
