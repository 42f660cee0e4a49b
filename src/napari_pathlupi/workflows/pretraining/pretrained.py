"""A pre-trained slide encoder on disk, with the molecular encoders it was trained with. Nothing is ever unpickled.

::

    encoder/
        card.json            what it is, how it is built, the digests of the other two
        weights.safetensors  "slide_encoder.…", "molecular.rna.…", "molecular.dna.…", feature_mean, feature_scale
        golden.safetensors   a few tile vectors, and the embedding that they must give
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_pathlupi.bundle import CARD, GOLDEN, WEIGHTS, About, CataloguePart, PatchEncoderPart, Recipe
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import BundleError, MismatchError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.workflows.device import device_named
from napari_pathlupi.workflows.prediction.model import SlideModel, device_failures
from napari_pathlupi.workflows.prediction.stream import Bag
from napari_pathlupi.workflows.pretraining.pairs import PairedCases
from napari_pathlupi.workflows.pretraining.pretrain import PairedNetwork
from napari_pathlupi.workflows.training.train_start import encoder_at

PARTS = 4096
"""Tiles that are read at once."""
CLOSE = 1e-4
"""How far the golden embedding may be off, of its largest number."""
Vector = npt.NDArray[np.float32]


class MolecularPart(CataloguePart):
    """A molecular encoder, and the columns it reads."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)]


class PretrainedCard(About):
    """All that a pre-trained encoder says of itself: `About`, what it is built from, and the digests of its files."""

    patch_encoder: PatchEncoderPart
    slide_encoder: CataloguePart
    molecular: dict[str, MolecularPart]
    digests: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """A pre-trained slide encoder, ready to embed.

    Parameters
    ----------
    card
        What it says of itself.
    network
        In evaluation mode.
    """

    card: PretrainedCard
    network: PairedNetwork

    @property
    def identity(self) -> EncoderIdentity:
        """What a bag of features must have been made by."""
        return self.card.patch_encoder.identity

    def embed(self, bag: Bag) -> Vector:
        """Return the (width,) embedding of the tiles of a case, read in parts where the encoder can.

        Raises
        ------
        MismatchError
            When there is no tile, or they are of another length.
        InferenceError
            When the device fails.
        """
        if len(bag.shape) != 2 or not bag.shape[0] or bag.shape[1] != self.identity.dim:
            raise MismatchError(f"tiles of {self.identity.dim} numbers are read, got an array of shape {bag.shape}.")
        encoder, device = self.network.slide_encoder, self.network.feature_mean.device
        step = PARTS if encoder.streams else bag.shape[0]
        with device_failures(str(device)), torch.no_grad():
            parts = (
                self.network.standardise(torch.tensor(np.asarray(bag[at : at + step], np.float32), device=device))
                for at in range(0, bag.shape[0], step)
            )
            if not encoder.streams:
                tiles = next(parts)[None]
                real = torch.ones(tiles.shape[:2], dtype=torch.bool, device=device)
                return _array(encoder(tiles, real).embedding[0])
            stream = encoder.stream(torch.zeros(1, encoder.width, device=device))
            for part in parts:
                stream.add(part)
            return _array(stream.encoded().embedding[0])

    def embed_molecules(self, kind: str, table: pd.DataFrame) -> pd.DataFrame:
        """Return the vectors of what was measured, a row per case that has anything.

        Parameters
        ----------
        kind
            "rna" or "dna".
        table
            Cases × columns, as it was read for the pre-training; columns that the encoder does not know are not used,
            those that are missing count as not measured.

        Raises
        ------
        MismatchError
            When it was pre-trained without this kind, or knows none of the columns.
        """
        if kind not in self.card.molecular:
            known = " and ".join(self.card.molecular)
            raise MismatchError(f"this encoder was pre-trained with {known} only: it has no vectors of {kind}.")
        columns = list(self.card.molecular[kind].columns)
        if not table.columns.isin(columns).any():
            raise MismatchError(f"none of the {len(table.columns)} columns is known to the {kind} encoder.")
        rows = table.reindex(columns=columns).dropna(how="all")
        device = self.network.feature_mean.device
        with device_failures(str(device)), torch.no_grad():
            values = torch.tensor(rows.to_numpy(np.float32), device=device)
            vectors = _array(self.network.molecular[kind](values))
        return pd.DataFrame(vectors, index=rows.index)

    def slide_model(self, task: CataloguePart) -> SlideModel:
        """Return a model with this slide encoder and a new linear head, to be given weights or trained."""
        recipe = Recipe(patch_encoder=self.card.patch_encoder, slide_encoder=self.card.slide_encoder, task=task)
        model = SlideModel(recipe)
        model.slide_encoder.load_state_dict(self.network.slide_encoder.state_dict())
        model.feature_mean.copy_(self.network.feature_mean)
        model.feature_scale.copy_(self.network.feature_scale)
        return model.eval()


def save_pretrained(folder: str | Path, pretrained: Pretrained, golden: npt.NDArray[np.float32]) -> Pretrained:
    """Write a pre-trained encoder and return it as read again.

    Parameters
    ----------
    folder
        Where to; it is made if need be.
    pretrained
        Its digests are filled in.
    golden
        (tiles, dim) a few tile vectors.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    folder = Path(folder)
    example = {"features": torch.tensor(golden), "embedding": torch.tensor(pretrained.embed(golden))}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in pretrained.network.state_dict().items()}
    files = {WEIGHTS: save(tensors), GOLDEN: save(example)}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = pretrained.card.model_copy(update={"digests": digests})
    files[CARD] = (card.model_dump_json(indent=2) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return load_pretrained(folder)


def load_pretrained(folder: str | Path, device: str = "cpu") -> Pretrained:
    """Return a pre-trained encoder from its folder, or from that of the run that made it.

    Raises
    ------
    BundleError
        When a file is missing, is not what the card says, cannot be read, or the example comes out differently.
    InferenceError
        When there is no such device.
    """
    folder = encoder_at(folder)
    device = device_named(device)
    card = _card(folder)
    weights, golden = (_tensors(folder / name, card) for name in (WEIGHTS, GOLDEN))
    molecular = {kind: (part, part.columns) for kind, part in card.molecular.items()}
    network = PairedNetwork(card.patch_encoder.dim, card.slide_encoder, molecular)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise BundleError(f"the weights in {folder.name} are of another network than its card says: {error}") from error
    loaded = Pretrained(card, network.to(device).eval())
    wanted, got = golden["embedding"].numpy(), loaded.embed(golden["features"].numpy())
    if not np.allclose(got, wanted, rtol=0, atol=CLOSE * max(1.0, float(np.abs(wanted).max()))):
        raise BundleError(f"the encoder in {folder.name} does not give the embedding it should: it is not used.")
    return loaded


def _card(folder: Path) -> PretrainedCard:
    try:
        return PretrainedCard.model_validate(json.loads((folder / CARD).read_text(encoding="utf-8")))
    except OSError as error:
        words = f"{folder} is no pre-trained encoder: {CARD} cannot be read ({error.strerror})"
        raise BundleError(
            f"{words}; give the folder of a finished `pathlupi pretrain`, or of a copy of its encoder."
        ) from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        words = f"{folder} is no pre-trained encoder: its card is another's, or wrong at {where!r}"
        raise BundleError(f"{words}; give the folder of a finished `pathlupi pretrain`.") from error
    except ValueError as error:
        raise BundleError(f"the card in {folder} is not JSON ({error}): copy it again.") from error


def _tensors(file: Path, card: PretrainedCard) -> dict[str, torch.Tensor]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {file} ({error.strerror}): copy the folder again.") from error
    if hashlib.sha256(content).hexdigest() != card.digests.get(file.name):
        raise BundleError(f"{file} is not the file its card names (wrong SHA-256): it is not used; copy it again.")
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{file} is not a safetensors file: {error}.") from error


def molecular_parts(cases: PairedCases) -> dict[str, MolecularPart]:
    """Return what a card says of the molecular encoders of `PairedCases`."""
    return {
        kind: MolecularPart(name=one.encoder.name, settings=one.encoder.settings, columns=one.columns)
        for kind, one in cases.molecules.items()
    }


def _array(tensor: torch.Tensor) -> Vector:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
