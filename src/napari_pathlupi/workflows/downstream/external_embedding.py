"""Slides as vectors by the slide encoders of others, each through its authors' own code."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.catalogue import external_slide_encoders
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.errors import InferenceError, WeightsError, words_of
from napari_pathlupi.external_slide_encoders._external import ExternalSlideEncoder
from napari_pathlupi.workflows.downstream.slide_embedding import Loaders

FAULTS = (
    RuntimeError,
    ImportError,
    OSError,
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AssertionError,
)
"""What code of others raises when it, its weights or its libraries do not fit."""


@dataclass(frozen=True, slots=True)
class ExternalConfig:
    """How the code of others is run.

    Parameters
    ----------
    device
        cpu or cuda.
    weights
        Folder with its code or weights, where it needs one or they are there already.
    trust_code
        Whether its authors' code may run here.
    """

    device: str = "cpu"
    weights: str = ""
    trust_code: bool = False


def encode_externally_steps(name: str, bags: Loaders, config: ExternalConfig, source: str = "") -> Steps[Embeddings]:
    """Yield progress and return the embedding of every bag.

    Raises
    ------
    SettingsError, MissingExtraError
        As of `ExternalSlideEncoder.must_be_ready`.
    MismatchError, FeaturesError
        When a bag is of another patch encoder, or cannot be read.
    WeightsError, InferenceError
        When its code cannot be loaded, fails, or gives no finite vector of the length it should.
    """
    entry: ExternalSlideEncoder = external_slide_encoders[name]
    folder = Path(config.weights) if config.weights else None
    entry.must_be_ready(config.device, folder, config.trust_code)
    try:
        embed = entry.load(config.device, folder)
    except FAULTS as error:
        raise WeightsError(f"{entry.title} cannot be loaded ({words_of(error)}): see {entry.page}.") from error
    vectors: dict[str, npt.NDArray[np.float32]] = {}
    made_by = ""
    for done, (slide, load) in enumerate(bags.items()):
        yield Progress("Encoding slides", done, len(bags))
        bag = load()
        entry.must_read(bag.encoder, f"{entry.title}, for {slide},")
        made_by = f"{name} on {bag.encoder}"
        places, side_px0 = _places(bag)
        features, corners = (torch.from_numpy(part)[None].to(config.device) for part in (bag.features, places))
        half = torch.autocast("cuda", torch.float16, enabled=entry.half and config.device.startswith("cuda"))
        try:
            with torch.inference_mode(), half:
                made = embed(features, corners, side_px0)
        except FAULTS as error:
            raise InferenceError(f"{entry.title} failed on {slide} ({words_of(error)}): see {entry.page}.") from error
        vectors[slide] = _vector(entry, made, slide)
    held = Embeddings.of(vectors, source)
    return Embeddings(held.names, held.vectors, source, made_by=made_by)


def _places(bag: FeatureBag) -> tuple[npt.NDArray[np.int64], int]:
    """(N, 2) corners (x, y) of the tiles and the side of one, level-0 pixels, rounded as other tools have them."""
    corners = np.rint(bag.grid.origins_px0[:, ::-1]).astype(np.int64)
    return np.ascontiguousarray(corners), round(float(np.mean(bag.grid.side_px0)))


def _vector(entry: ExternalSlideEncoder, made: torch.Tensor, slide: str) -> npt.NDArray[np.float32]:
    vector = made.detach().float().cpu().numpy().reshape(-1)
    if vector.shape != (entry.width,) or not np.isfinite(vector).all():
        raise InferenceError(
            f"{entry.title} gave {len(vector)} numbers for {slide}, {int((~np.isfinite(vector)).sum())} of them not "
            f"finite: {entry.width} finite ones are right; see {entry.page} for the versions it was written for."
        )
    return vector
