"""Published files of weights, without running any code from them: tensors by name, and a digest of them."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from napari_pathlupi.errors import WeightsError

if TYPE_CHECKING:
    from torch.nn import Module

WRAPPERS = ("state_dict", "model")
"""Names under which training scripts put the tensors of a network."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or torch file, by name.

    Raises
    ------
    WeightsError
        When it cannot be read, or holds anything but tensors.
    """
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, which could run code, and is not opened: ask for a safetensors file."
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read as weights ({error}): get it again.") from error
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    found = (
        {key: value for key, value in content.items() if isinstance(value, Tensor)} if hasattr(content, "items") else {}
    )
    if not found:
        raise WeightsError(f"{path} holds no tensors by name: get the file that the publishers call weights.")
    return {key.removeprefix("module."): value for key, value in found.items()}


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return SHA-256 over names, types, shapes and bytes: the same for the same tensors in a file of any kind."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fill(network: "Module", tensors: Mapping[str, Tensor], path: Path, name: str, address: str) -> None:
    """Put tensors into a network, all of them and no other.

    Raises
    ------
    WeightsError
        When a tensor is missing, does not belong or has another shape.
    """
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in tensors.items()}
    missing, extra = sorted(own.keys() - given), sorted(given.keys() - own)
    other = [f"{key} {given[key]}, not {own[key]}" for key in own if key in given and own[key] != given[key]]
    wrong = [
        f"{len(names)} {what} (the first: {names[0]})"
        for names, what in ((missing, "are missing"), (extra, "do not belong"), (other, "have another shape"))
        if names
    ]
    if wrong:
        raise WeightsError(
            f"{path} is not the weights of {name}: of its tensors {', '.join(wrong)}; get them at {address}."
        )
    network.load_state_dict(dict(tensors), assign=True)
