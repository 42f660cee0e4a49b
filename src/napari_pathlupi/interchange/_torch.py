"""Tensors in files of torch; nothing in them is ever run."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import FeaturesError

_HEADS = (b"PK\x03\x04", b"\x80\x02")
"""How torch's files begin: an archive, and before version 1.6 a pickle."""


def is_torch_file(path: Path) -> bool:
    """Return whether a file is one of torch's, by its ending and its first bytes."""
    try:
        with path.open("rb") as file:
            return path.suffix in (".pt", ".pth") and file.read(4).startswith(_HEADS)
    except OSError:
        return False


def tensor(path: Path) -> npt.NDArray[np.float32]:
    """Return the one (N, D) tensor of a file as float32.

    Raises
    ------
    FeaturesError
        When the file is damaged, holds anything else, or would run code.
    """
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FeaturesError(
            f"{path.name} is damaged or holds more than numbers; nothing in it was run: save the tensor alone."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        words = str(error).strip().splitlines()
        raise FeaturesError(
            f"{path.name} cannot be read ({words[0] if words else 'it ends'}): copy it again."
        ) from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or not found.is_floating_point():
        what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise FeaturesError(f"{path.name} holds {what}, not one table (tiles, numbers) of floats.")
    return found.float().numpy()
