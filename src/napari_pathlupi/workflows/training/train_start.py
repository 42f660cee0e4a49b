"""Where a training begins from weights that are there already: a slide encoder that was pre-trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel
from torch import Tensor

from napari_pathlupi.bundle import CARD, WEIGHTS, CataloguePart, PatchEncoderPart
from napari_pathlupi.errors import MismatchError, WeightsError, reason_of

if TYPE_CHECKING:
    from napari_pathlupi.workflows.prediction.model import SlideModel

PART = "slide_encoder."
"""What the tensors of the slide encoder are called by in a file of weights, as in a bundle."""
ENCODER = "encoder"
"""Folder of the encoder in a run of ``pathlupi pretrain``."""
MOMENTS = ("feature_mean", "feature_scale")
"""What tiles were standardised with; a file without them means tiles as they are."""


def encoder_at(place: str | Path) -> Path:
    """Return the folder of the encoder where a whole run of `pathlupi pretrain` is named, else the place itself."""
    inner = Path(place, ENCODER)
    return inner if not Path(place, CARD).exists() and (inner / CARD).is_file() else Path(place)


def begin_from(model: "SlideModel", place: str | Path) -> None:
    """Give a new model the slide encoder of a file, and the standardising of tiles that it was trained with.

    The head stays as it is: it begins anew.

    Parameters
    ----------
    model
        Built with the same slide encoder and settings.
    place
        A safetensors file, or a folder with ``weights.safetensors``, such as a bundle of one model; or the folder of a
        run of ``pathlupi pretrain``.

    Raises
    ------
    WeightsError
        When it is absent or damaged, holds no slide encoder, or an ensemble of several.
    MismatchError
        When a tensor is missing, left over or of another shape, which is named with both shapes; or the card beside
        the weights names another patch encoder.
    """
    place = encoder_at(place)
    tensors, card = _tensors(place), _card(place)
    if card is not None and card.patch_encoder is not None:
        own_tiles = model.recipe.patch_encoder.identity
        card.patch_encoder.identity.must_fit(own_tiles, f"the slide encoder at {place}")
    encoder = {name.removeprefix(PART): tensor for name, tensor in tensors.items() if name.startswith(PART)}
    if not encoder and model.slide_encoder.state_dict():
        several = any(name.startswith(f"0/{PART}") for name in tensors)
        raise WeightsError(
            f"{place} holds {'an ensemble of several models' if several else 'no tensors called ' + PART + '…'}: give "
            "the weights of one slide encoder."
        )
    _must_be_alike(model.slide_encoder.state_dict(), encoder, place)
    model.slide_encoder.load_state_dict(encoder)
    mean, scale = torch.zeros_like(model.feature_mean), torch.ones_like(model.feature_scale)
    model.feature_mean.copy_(_moment(tensors, MOMENTS[0], mean, place))
    model.feature_scale.copy_(_moment(tensors, MOMENTS[1], scale, place))


def _must_be_alike(own: Mapping[str, Tensor], encoder: Mapping[str, Tensor], place: str | Path) -> None:
    for name in sorted({*own, *encoder}):
        shapes = [tuple(part[name].shape) if name in part else "absent" for part in (own, encoder)]
        if shapes[0] != shapes[1]:
            raise MismatchError(
                f"{place} holds another slide encoder: {name} is {shapes[1]} there and {shapes[0]} in the model; build "
                "it with the settings that it was trained with."
            )


def settings_beside(place: str | Path) -> Mapping[str, Any]:
    """Return name and settings of the slide encoder as the card beside the weights says; empty without a card.

    Raises
    ------
    WeightsError
        When the card is damaged.
    """
    if (card := _card(encoder_at(place))) is None:
        return {}
    part = card.slide_encoder
    return {"slide_encoder": part.name, "settings": dict(part.settings)}


class _Card(BaseModel):
    """What a card says of a slide encoder; of the rest nothing is asked."""

    slide_encoder: CataloguePart
    patch_encoder: PatchEncoderPart | None = None


def _card(place: Path) -> _Card | None:
    file = (place if place.is_dir() else place.parent) / CARD
    if not file.is_file():
        return None
    try:
        return _Card.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} does not say what slide encoder it is of: copy the folder again.") from error


def _tensors(place: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = place / WEIGHTS if place.is_dir() else place
    if not file.is_file():
        raise WeightsError(f"there is no {file}: give the folder of a pre-training, or a safetensors file of weights.")
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{file} cannot be read as safetensors ({reason_of(error)}): give a whole file of weights."
        ) from error


def _moment(tensors: Mapping[str, Tensor], name: str, otherwise: Tensor, place: str | Path) -> Tensor:
    found = tensors.get(name, otherwise)
    if found.shape != otherwise.shape:
        raise MismatchError(
            f"{place} was trained on tiles of {len(found)} numbers, these have {len(otherwise)}: embed the slides with "
            "the patch encoder that it was trained on."
        )
    return found
