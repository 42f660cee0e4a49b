"""A trained model on disk: a folder with a card, its weights and a golden example. Nothing is ever unpickled.

::

    my-model/
        card.json            what it is, what it was trained on, how it is built, the digests of the other two
        weights.safetensors  every tensor, by name; of an ensemble "0/name", "1/name" … for each fold
        golden.safetensors   the feature vectors of a small slide, and what the model must say of it
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_pathlupi.core.card import FORMAT, About, Card, CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.errors import BundleError, OutputError, did_you_mean

__all__ = [
    "About",
    "Bundle",
    "Card",
    "CataloguePart",
    "ObjectivePart",
    "PatchEncoderPart",
    "Recipe",
    "list_bundles",
    "load_bundle",
    "models_folder",
    "packaged",
    "save_bundle",
]

CARD, WEIGHTS, GOLDEN = "card.json", "weights.safetensors", "golden.safetensors"

_NUMBERS = re.compile(r"\[\n((?:\s+(?:[-+.\deE]+|null),?\n)+)\s+\]")
"""A list of numbers as JSON has it over several lines; no string holds a bare line break."""

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model read from its folder, whole and unaltered.

    Parameters
    ----------
    card
        What it says of itself.
    tensors
        Its weights by name.
    golden
        ``features`` (tiles, dim), ``outputs`` (outputs,) and ``attention`` (tiles,) of a small slide, float32.
    folder
        Where it was read from.
    digest
        SHA-256 of the card, and through it of everything else.
    """

    card: Card
    tensors: Tensors
    golden: Tensors
    folder: Path
    digest: str


def models_folder() -> Path:
    """Return where installed models lie, as the system has it; ``PATHLUPI_MODELS`` names another folder."""
    default = Path(platformdirs.user_data_dir("napari-pathlupi", appauthor=False)) / "models"
    return Path(os.environ.get("PATHLUPI_MODELS") or default)


def packaged() -> list[str]:
    """Return the names of the models that come with the package."""
    return _named(_packaged())


def list_bundles() -> list[str]:
    """Return the names of the models that come with the package, then of those that were installed."""
    return [*packaged(), *(name for name in _named(models_folder()) if name not in packaged())]


def load_bundle(path_or_name: str | Path) -> Bundle:
    """Return the model of a folder, or a packaged or installed one by its name.

    Parameters
    ----------
    path_or_name
        A name of `list_bundles`, or a folder; ``./name`` is always a folder.

    Raises
    ------
    BundleError
        When a file is missing, is not what the card says, cannot be read or is of a newer format.
    """
    folder = Path(path_or_name)
    if path_or_name in list_bundles():
        folder = (_packaged() if path_or_name in packaged() else models_folder()) / path_or_name
    if not (folder / CARD).is_file():
        raise BundleError(_no_bundle(folder, str(path_or_name)))
    text = _read(folder / CARD)
    card = _parse(text, folder)
    tensors, golden = (_load_tensors(folder / name, card.digests) for name in (WEIGHTS, GOLDEN))
    return Bundle(card, tensors, golden, folder, hashlib.sha256(text).hexdigest())


def _named(folder: Path) -> list[str]:
    return sorted(card.parent.name for card in folder.glob(f"*/{CARD}") if not card.parent.name.startswith("."))


def save_bundle(folder: str | Path, card: Card, weights: Tensors, golden: Tensors, replace: bool = False) -> Bundle:
    """Write a model and return it as read again.

    Everything is written beside the folder and moved into place at the end, so that nothing half-written is left.

    Parameters
    ----------
    folder
        Where to; it must not exist, or be a bundle and ``replace`` be true.
    card
        Its digests are filled in.
    weights, golden
        See `Bundle`.
    replace
        Whether a bundle that is there already may go.

    Raises
    ------
    OutputError
        When the folder is taken or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (replace and (folder / CARD).is_file()):
        raise OutputError(f"{folder} exists already: choose another name, or replace it if it is a model.")
    files = {
        name: save({k: np.ascontiguousarray(v) for k, v in tensors.items()})
        for name, tensors in ((WEIGHTS, weights), (GOLDEN, golden))
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = card.model_copy(update={"digests": digests}).model_dump_json(indent=2)
    files[CARD] = (_NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n").encode()
    try:
        _write_folder(folder, files)
    except OSError as error:
        raise OutputError(
            f"cannot write the model to {folder}: {error.strerror}; choose a folder you may write to."
        ) from error
    return load_bundle(folder.resolve())


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        fresh = Path(scratch, "fresh")
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        fresh.rename(folder)


def _packaged() -> Path:
    return Path(__file__).with_name("bundles")


def _no_bundle(folder: Path, given: str) -> str:
    if (folder / "model" / CARD).is_file():
        return f"{folder} is the folder of a run: its model is {folder / 'model'}."
    if folder.is_dir():
        return f"{folder} is not a model: it holds no {CARD}."
    hint, known = did_you_mean(given, list_bundles()), ", ".join(list_bundles()) or "none"
    return f"there is no model {given}: {hint}Give the folder of a model, or the name of one that is at hand ({known})."


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            f"the model {file.parent.name} is incomplete, {file.name} is missing: copy it again."
        ) from error
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror}; check that you may read the folder.") from error


def _parse(text: bytes, folder: Path) -> Card:
    try:
        words = json.loads(text)
        newer = isinstance(words, dict) and isinstance(words.get("format"), int) and words["format"] > FORMAT
        if newer:
            raise BundleError(
                f"the model {folder.name} is of format {words['format']}, this version reads up to {FORMAT}: "
                "install a newer napari-pathlupi."
            )
        return Card.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "whole"
        raise BundleError(f"the card of the model {folder.name} is wrong at {where!r}: {first['msg']}.") from error
    except ValueError as error:
        raise BundleError(f"the card of the model {folder.name} is not JSON ({error}): copy it again.") from error


def _load_tensors(file: Path, digests: Mapping[str, str]) -> Tensors:
    content = _read(file)
    if hashlib.sha256(content).hexdigest() != digests.get(file.name):
        raise BundleError(
            f"{file.name} of the model {file.parent.name} is not the file its card names (wrong SHA-256): "
            "it is not used; copy the model again."
        )
    try:
        tensors: Tensors = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{file.name} of the model {file.parent.name} is not a safetensors file: {error}.") from error
    return tensors
