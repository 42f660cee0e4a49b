"""Patch encoders, for those who choose and fetch them: where weights are, getting them, and trying them on one tile."""

import hashlib
import inspect
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.core.settings import config_folder
from napari_pathlupi.errors import (
    Cancelled,
    InferenceError,
    MissingExtraError,
    OutputError,
    SettingsError,
    WeightsError,
    words_of,
)
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.patch_encoders._encoder import State
from napari_pathlupi.patch_encoders._places import Kept, kept, kept_file
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import draw_case
from napari_pathlupi.simulation.rendering import render
from napari_pathlupi.workflows.device import choose_device

SECONDS_BETWEEN_STEPS = 0.2
CENTRE_PX = 1024


def with_weights(name: str) -> PretrainedEncoder:
    """Return an encoder of the catalogue that has weights.

    Raises
    ------
    NotFoundError, SettingsError
        When there is no such encoder, or it has no weights.
    """
    encoder = patch_encoders[name]
    if not isinstance(encoder, PretrainedEncoder):
        raise SettingsError(f"{name} has no weights: it can be used as it is.")
    return encoder


def keep_weights(name: str, place: Path) -> Path:
    """Remember the file or folder with an encoder's weights, and return the file.

    Raises
    ------
    WeightsError
        When there are no weights.
    SettingsError, OutputError
        When what is kept cannot be read or written.
    """
    encoder = with_weights(name)
    file = encoder.find(place.absolute())
    known = kept()
    _keep(replace(known, weights={**known.weights, encoder.file_name: str(place.absolute())}))
    return file or place


def accept_licence(name: str) -> None:
    """Remember that the user has accepted an encoder's licence where it is given out.

    Raises
    ------
    SettingsError, OutputError
        When what is kept cannot be read or written.
    """
    known, encoder = kept(), with_weights(name)
    if encoder.file_name not in known.licences:
        _keep(replace(known, licences=(*known.licences, encoder.file_name)))


def _withdraw_licence(encoder: PretrainedEncoder) -> None:
    known = kept()
    _keep(replace(known, licences=tuple(name for name in known.licences if name != encoder.file_name)))


def _keep(what: Kept) -> None:
    try:
        config_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{config_folder()} cannot be made ({error.strerror}).") from error
    write_whole(kept_file(), json.dumps({"version": 1} | asdict(what), indent=1))


class _Meter:
    """Counts bytes for a download in another thread, and makes it stop."""

    def __init__(self) -> None:
        self.done, self.total, self.stop = 0, 0, threading.Event()

    def bar(self) -> type:
        """Return a progress bar, as the Hub's library wants one, that shows nothing and counts here."""
        from tqdm import tqdm

        meter = self

        class Bar(tqdm):  # type: ignore[misc]
            def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
                super().__init__(total=total, initial=initial, disable=True)
                meter.done, meter.total = initial, total or 0

            def update(self, n: float | None = 1) -> None:
                if meter.stop.is_set():
                    raise Cancelled("stopped while downloading")
                meter.done += int(n or 0)

            def update_transfer(self, n: float | None = 1) -> None:
                """Bytes on their way, which are counted once they are there."""

        return Bar


def get_steps(name: str, cancel: CancelFlag | None = None) -> Steps[Path]:
    """Yield progress in megabytes and return the file with an encoder's weights, from the Hugging Face Hub if need be.

    Whoever calls it has asked the user: it downloads. The user's token and ``HF_ENDPOINT`` are used.

    Raises
    ------
    MissingExtraError, WeightsError
        When a library, the licence, the token or the network is missing; the message says what to do.
    Cancelled
        When asked to stop.
    """
    from napari_pathlupi.patch_encoders._loading import built

    encoder = with_weights(name)
    readiness = encoder.readiness()
    if readiness.state is State.LOCAL and (found := encoder.find()):
        return found
    if readiness.state is State.NEEDS_EXTRA:
        raise MissingExtraError(readiness.words)
    if readiness.state is not State.NEEDS_DOWNLOAD:
        raise WeightsError(f"{encoder.title}: {readiness.words}")
    yield Progress("Building the network", 0, 0)  # nobody is to download what cannot be used
    built(encoder.architecture)
    meter = _Meter()
    if cancel:
        meter.stop.set()
    with ThreadPoolExecutor(1, thread_name_prefix="weights") as pool:
        future = pool.submit(_download, encoder, meter)
        try:
            while not _ended(future):
                if cancel:
                    meter.stop.set()
                yield Progress("Downloading (MB)", meter.done >> 20, meter.total >> 20)
        finally:
            meter.stop.set()
    if cancel and future.exception():
        raise Cancelled(f"stopped at {meter.done >> 20} of {meter.total >> 20} MB of the weights.")
    return future.result()


def _ended(future: Future[Path]) -> bool:
    try:
        future.exception(SECONDS_BETWEEN_STEPS)
    except TimeoutError:
        return False
    return True


def _download(encoder: PretrainedEncoder, meter: _Meter) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    weights = encoder.weights
    more = {"tqdm_class": meter.bar()} if "tqdm_class" in inspect.signature(hf_hub_download).parameters else {}
    for file in weights.files:
        try:
            with _in_words(encoder):
                return Path(hf_hub_download(weights.repository, file, **more))
        except LocalEntryNotFoundError as error:
            raise WeightsError(
                f"{encoder.title}: {weights.address} cannot be reached: try again with a network, or get the file "
                f"elsewhere and say: pathlupi encoders use {encoder.name} FILE"
            ) from error
        except EntryNotFoundError:
            continue
    raise WeightsError(f"{encoder.title}: {weights.address} has none of the files {', '.join(weights.files)}.")


@contextmanager
def _in_words(encoder: PretrainedEncoder) -> Iterator[None]:
    """Turn what the Hub refuses into one sentence."""
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    address = encoder.weights.address
    try:
        yield
    except EntryNotFoundError:
        raise
    except GatedRepoError as error:
        _withdraw_licence(encoder)
        raise WeightsError(
            f"{encoder.title}: the Hub does not give its weights to your token: accept the licence at {address} with "
            "the account of the token, and wait until it is granted."
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"{encoder.title}: {address} is not there for you: check the token in HF_TOKEN, or the address in "
            "HF_ENDPOINT."
        ) from error
    except (HfHubHTTPError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"{encoder.title}: the download from {address} failed ({words_of(error)}): try again."
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What an encoder made of the built-in tile.

    Parameters
    ----------
    identity
        Of the encoder as loaded; its version names the weights.
    device, precision
        What it ran on, in words, and in which type.
    vector
        (dim,) float32.
    tile_digest
        SHA-256 of the tile's bytes: vectors of different tiles cannot be compared.
    """

    identity: EncoderIdentity
    device: str
    precision: str
    vector: npt.NDArray[np.float32]
    tile_digest: str

    @property
    def vector_digest(self) -> str:
        """SHA-256 of the vector rounded to three decimals: equal on like machines, not on all."""
        return hashlib.sha256(np.round(self.vector, 3).astype("<f4").tobytes()).hexdigest()


def built_in_tile(tile_px: int, mpp: float) -> npt.NDArray[np.uint8]:
    """(tile_px, tile_px, 3) the middle of a simulated slide: always the same, and made here."""
    config = SimulationConfig(cases=1, seed=1, shape_px=(CENTRE_PX, CENTRE_PX), mpp=mpp)
    start = (CENTRE_PX - tile_px) // 2
    return render(draw_case(config, 0), (start, start), (tile_px, tile_px))


def check(name: str, device: str = "auto", weights: Path | None = None) -> Checked:
    """Return what an encoder makes of the built-in tile, for comparison with another machine or another program.

    Raises
    ------
    NotFoundError, MissingExtraError, WeightsError, InferenceError
        When it cannot be loaded or run.
    """
    import torch

    encoder, chosen = patch_encoders[name], choose_device(device)
    loaded = encoder.load(chosen.name, weights)
    tile = built_in_tile(encoder.tile_px, encoder.mpp)
    try:
        vector = loaded.encode(torch.from_numpy(tile[None]).to(chosen.name))[0].cpu().numpy()
    except RuntimeError as error:
        raise InferenceError(f"{chosen.words} failed while encoding: {str(error).splitlines()[0]}") from error
    digest = hashlib.sha256(tile.tobytes()).hexdigest()
    return Checked(loaded.identity, chosen.words, loaded.precision, vector, digest)
