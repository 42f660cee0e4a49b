"""Tiles of a slide to vectors, with reading and encoding side by side and memory bounded."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, run
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import Cancelled, InferenceError, SettingsError, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import Device, choose_device, free_a_core

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import EncodeTiles, Loaded

Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EmbedConfig:
    """How tiles are encoded.

    Parameters
    ----------
    device
        auto, cuda, mps or cpu.
    batch_size
        Tiles encoded at once; 0 lets the device decide.
    threads
        Threads that read and decode tiles.
    """

    device: str = "auto"
    batch_size: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.batch_size < 0 or self.threads < 1:
            raise SettingsError(
                f"a batch of {self.batch_size} tiles on {self.threads} threads cannot be: give 0 (automatic) or more "
                "tiles, and at least one thread."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some tiles after encoding.

    Parameters
    ----------
    indices
        (B,) which tiles of the grid; those that could not be decoded are missing.
    features
        (B, D) float32.
    failed
        Tiles of this batch that could not be decoded.
    message
        A sentence to show, for instance that the batch was halved.
    """

    indices: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    failed: int = 0
    message: str = ""


def load_encoder(name: str, device: Device) -> "Loaded":
    """Return a patch encoder of the catalogue on a device, with a core left to the window and the readers."""
    free_a_core()
    loaded: Loaded = patch_encoders[name].load(device.name)
    return loaded


def encode_batches(
    slide: Slide, grid: TileGrid, loaded: "Loaded", device: Device, config: EmbedConfig
) -> Iterator[Batch]:
    """Yield the tiles of a grid as vectors, in its order, a batch at a time.

    Raises
    ------
    InferenceError
        When the device fails, or has too little memory even for one tile.
    """
    size = config.batch_size or device.batch_size
    for indices, pictures, failed in _read_ahead(slide, grid, size, config.threads):
        features, size, message = _encode_or_halve(loaded.encode, pictures, device, size)
        yield Batch(indices, features, failed, message)


def _read_ahead(
    slide: Slide, grid: TileGrid, size: int, threads: int
) -> Iterator[tuple[npt.NDArray[np.int64], Pictures, int]]:
    starts = iter(range(0, len(grid), size))
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="tiles") as pool:
        ahead: deque[Future[tuple[npt.NDArray[np.int64], Pictures, int]]] = deque()
        try:
            while True:
                while len(ahead) <= threads and (start := next(starts, None)) is not None:
                    ahead.append(pool.submit(_read, slide, grid, start, min(start + size, len(grid))))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read(slide: Slide, grid: TileGrid, start: int, end: int) -> tuple[npt.NDArray[np.int64], Pictures, int]:
    pictures, indices = [], []
    scale = (
        grid.mpp / grid.slide_mpp.y,
        grid.mpp / grid.slide_mpp.x,
    )  # the slide's may be restated meanwhile
    for index in range(start, end):
        try:
            pictures.append(slide.read_scaled(grid.region(index).origin_px0, (grid.tile_px, grid.tile_px), scale))
        except SlideError:  # counted by the caller and told to the user
            continue
        indices.append(index)
    empty = np.empty((0, grid.tile_px, grid.tile_px, 3), np.uint8)
    return np.array(indices, np.int64), np.stack(pictures) if pictures else empty, end - start - len(indices)


def _encode_or_halve(
    encode: "EncodeTiles", pictures: Pictures, device: Device, size: int
) -> tuple[npt.NDArray[np.float32], int, str]:
    import torch

    message = ""
    while True:
        try:
            with torch.inference_mode():
                parts = [
                    encode(torch.from_numpy(pictures[start : start + size]).to(device.name)).float().cpu().numpy()
                    for start in range(0, len(pictures), size)
                ]
            return np.concatenate(parts) if parts else np.empty((0, 0), np.float32), size, message
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise InferenceError("The GPU has no memory for even one tile: choose the CPU as device.") from error
            message = f"The GPU ran out of memory at {size} tiles a batch; going on with {size // 2}."
            size //= 2
            torch.cuda.empty_cache()
        except RuntimeError as error:
            raise InferenceError(f"{device.words} failed while encoding tiles: {str(error).splitlines()[0]}") from error


def embed_steps(
    slide: Slide, grid: TileGrid, encoder: str, config: EmbedConfig | None = None, cancel: CancelFlag | None = None
) -> Steps[FeatureBag]:
    """Yield progress and return the tiles of a slide as vectors.

    Raises
    ------
    Cancelled
        When asked to stop: half a bag is no bag.
    SlideError
        When a tile cannot be decoded.
    """
    config = config or EmbedConfig()
    device = choose_device(config.device)
    loaded = load_encoder(encoder, device)
    features = np.empty((len(grid), loaded.identity.dim), np.float32)
    done = 0
    for batch in encode_batches(slide, grid, loaded, device, config):
        if batch.failed:
            raise SlideError(f"{slide.path.name}: {batch.failed} tiles cannot be decoded: copy the file again.")
        features[batch.indices] = batch.features
        done += len(batch.indices)
        yield Progress("Reading", done, len(grid), message=batch.message)
        if cancel:
            raise Cancelled(f"stopped after {done} of {len(grid)} tiles of {slide.path.name}")
    return FeatureBag(features, grid, loaded.identity, slide.fingerprint)


def embed(slide: Slide, grid: TileGrid, encoder: str, config: EmbedConfig | None = None) -> FeatureBag:
    """Return the tiles of a slide as vectors: `embed_steps` without the steps."""
    return run(embed_steps(slide, grid, encoder, config))
