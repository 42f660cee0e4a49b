"""A trained model on disk: a folder with a card, its weights and a golden example. Nothing is ever unpickled.

::

    my-model/
        card.json            what it is, what it was trained on, how it is built, the digests of the other two
        weights.safetensors  every tensor, by name; of an ensemble "0/name", "1/name" … for each fold
        golden.safetensors   the feature vectors of a small slide, and what the model must say of it
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import BundleError, OutputError

FORMAT: Final = 2
CARD, WEIGHTS, GOLDEN = "card.json", "weights.safetensors", "golden.safetensors"

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by name."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PatchEncoderPart(_Part):
    """The patch encoder whose features the model reads; see `EncoderIdentity`."""

    name: str
    version: str
    dim: Annotated[int, Field(gt=0)]
    tile_px: Annotated[int, Field(gt=0)]
    mpp: Annotated[float, Field(gt=0)]

    @classmethod
    def of(cls, identity: EncoderIdentity) -> "PatchEncoderPart":
        """Return the part of a card that names these features."""
        return cls(
            name=identity.name,
            version=identity.version,
            dim=identity.dim,
            tile_px=identity.tile_px,
            mpp=identity.mpp,
        )

    @property
    def identity(self) -> EncoderIdentity:
        """What a bag of features must have been made by."""
        return EncoderIdentity(self.name, self.version, self.dim, self.tile_px, self.mpp)


class CataloguePart(_Part):
    """An entry of a catalogue and the settings to build it with."""

    name: str
    settings: dict[str, JsonValue] = {}


class ObjectivePart(CataloguePart):
    """The molecular objective of the training, and the gene sets that it learned."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)]


class Recipe(_Part):
    """What a network is built from."""

    patch_encoder: PatchEncoderPart
    slide_encoder: CataloguePart
    task: CataloguePart
    objective: ObjectivePart | None = None


class About(_Part):
    """What people must know of a model.

    Parameters
    ----------
    name, title
        Short name, as of its folder, and name for the panel.
    description, trained_on, limits
        What it does, what it learned from and where it fails, in sentences.
    licence, gated
        SPDX name or the publisher's words, and whether weights are given out only after an agreement.
    source
        Where it comes from: a paper, an address or a command.
    created
        Date, ISO 8601.
    metrics
        Figures with their protocol.
    intended_use
        What it may be used for, in a sentence.
    gene_sets
        Where the gene sets of its molecular objective come from.
    research_use_only
        Shown beside every answer.
    """

    name: str
    title: str
    description: str
    trained_on: str
    limits: str
    licence: str
    gated: bool
    source: str
    created: str
    metrics: dict[str, JsonValue] = {}
    intended_use: str = ""
    gene_sets: str = ""
    research_use_only: str = RESEARCH_USE_ONLY


class Card(About, Recipe):
    """All that a bundle says of itself: `About`, `Recipe` and what follows.

    Parameters
    ----------
    format
        Version of this format.
    reference_limit
        Distance from the training cases above which a slide is not supported; of an ensemble the mean of its folds'.
    members
        How many models it is made of, a fold or seed each; their outputs are averaged. Since format 2.
    calibration
        `napari_pathlupi.core.calibration.Calibration` as JSON values; None without. Since format 2.
    digests
        SHA-256 of the other files, by name; filled in when the bundle is saved.
    """

    format: Literal[1, 2] = FORMAT
    reference_limit: Annotated[float, Field(ge=0)]
    members: Annotated[int, Field(ge=1)] = 1
    calibration: dict[str, JsonValue] | None = None
    digests: dict[str, str] = {}


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


def list_bundles() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(card.parent.name for card in _packaged().glob(f"*/{CARD}"))


def load_bundle(path_or_name: str | Path) -> Bundle:
    """Return the model of a folder, or a packaged one by its name.

    Parameters
    ----------
    path_or_name
        A name of `list_bundles`, or a folder; ``./name`` is always a folder.

    Raises
    ------
    BundleError
        When a file is missing, is not what the card says, cannot be read or is of a newer format.
    """
    folder = _packaged() / path_or_name if path_or_name in list_bundles() else Path(path_or_name)
    if not (folder / CARD).is_file():
        raise BundleError(_no_bundle(folder, str(path_or_name)))
    text = _read(folder / CARD)
    card = _parse(text, folder)
    tensors, golden = (_load_tensors(folder / name, card.digests) for name in (WEIGHTS, GOLDEN))
    return Bundle(card, tensors, golden, folder, hashlib.sha256(text).hexdigest())


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
    files[CARD] = (card.model_copy(update={"digests": digests}).model_dump_json(indent=2) + "\n").encode()
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
    if folder.is_dir():
        return f"{folder} is not a model: it holds no {CARD}."
    near = get_close_matches(given, list_bundles(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = ", ".join(list_bundles()) or "none"
    return f"there is no model {given}: {hint}Give the folder of a model, or the name of a packaged one ({known})."


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
