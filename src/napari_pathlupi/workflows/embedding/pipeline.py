"""Reading and encoding side by side: tiles of slides in, vectors out, over a fixed ring of batches.

Reader threads fill the slots of the ring; encoder threads wait for a full one, run the network on it and give it back.
Nothing else is allocated per tile, so memory does not grow, and neither side ever waits for the other while there is
a slot. Each batch is cut anew at every chunk border of the store, so that a run that goes on at one makes the same
batches.
"""

import ctypes
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.progress import Timing
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import DamagedTileError, InferenceError, SettingsError
from napari_pathlupi.slides import Slide
from napari_pathlupi.slides._clock import READING
from napari_pathlupi.store import CHUNK_TILES
from napari_pathlupi.workflows.device import Device

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.patch_encoders._encoder import Loaded

Features = npt.NDArray[np.float32]

SLOT_BYTES = 64 * 1024**2
"""Largest automatic batch (our choice): 341 tiles of 256 px, 85 of 512 px."""
SPARE_SLOTS = 2
"""Slots beside one per encoder thread: one that is full and one that is being filled (our choice)."""
READ_AT_ONCE = 4
"""Fewest tiles that a reader thread takes at once (our choice): neighbours share stored tiles."""
WHITE = 255


@dataclass(frozen=True, slots=True)
class EmbedConfig:
    """How tiles are encoded.

    Parameters
    ----------
    device
        auto, cuda, mps or cpu.
    batch_size
        Tiles encoded at once, at most 256; 0 lets the device decide.
    threads
        Threads that read and decode tiles; 0 lets the device decide.
    """

    device: str = "auto"
    batch_size: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 0 or self.threads < 0:
            raise SettingsError(
                f"a batch of {self.batch_size} tiles on {self.threads} threads cannot be: give 0 (automatic) or more "
                "of either."
            )


@dataclass(slots=True, eq=False)
class SlideTiles:
    """What is to be encoded of one slide.

    Parameters
    ----------
    slide, grid
        The slide, and its tiles.
    first
        Tile to begin with.
    abandoned
        Set to stop reading it.
    batch_size
        Batch to cut it into, as the run did that it goes on from; 0 leaves it to the pipeline.
    """

    slide: Slide
    grid: TileGrid
    first: int = 0
    abandoned: bool = False
    batch_size: int = 0
    _scale: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        mpp = self.grid.slide_mpp  # the slide's may be restated meanwhile
        self._scale = self.grid.mpp / mpp.y, self.grid.mpp / mpp.x

    def cuts(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield first and last + 1 of each batch."""
        start, size = self.first, min(size, self.batch_size or size)
        while start < len(self.grid) and not self.abandoned:
            within = start % CHUNK_TILES
            stop = min(start - within + min((within // size + 1) * size, CHUNK_TILES), len(self.grid))
            yield start, stop
            start = stop

    def read(self, origins_px0: npt.NDArray[np.float64], into: npt.NDArray[np.uint8]) -> list[int]:
        """Read tiles into (tiles, side, side, 3); return which could not be decoded, left white."""
        failed, shape, slide = [], (self.grid.tile_px, self.grid.tile_px), self.slide.passing()
        for place, (y, x) in enumerate(origins_px0.tolist()):
            try:
                into[place] = slide.read_scaled((y, x), shape, self._scale)
            except DamagedTileError:  # counted by the caller and told to the user
                into[place] = WHITE
                failed.append(place)
        return failed


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some tiles after encoding.

    Parameters
    ----------
    tiles
        The slide that they are of.
    indices
        (B,) which tiles of its grid; those that could not be decoded are missing.
    features
        (B, D) float32.
    failed
        Tiles of this batch that could not be decoded.
    message
        A sentence to show, for instance that the batch was halved.
    """

    tiles: SlideTiles
    indices: npt.NDArray[np.int64]
    features: Features
    failed: int = 0
    message: str = ""


class Pipeline:
    """Encodes the tiles of one slide after the other with one encoder on one device.

    Parameters
    ----------
    loaded
        The encoder; ``encode`` is called from several threads at once.
    device, config
        Where and how.
    """

    def __init__(self, loaded: "Loaded", device: Device, config: EmbedConfig) -> None:
        self._loaded, self._device = loaded, device
        side = loaded.identity.tile_px
        fitting = 1 << max(0, (SLOT_BYTES // (3 * side * side)).bit_length() - 1)
        self.batch_size = min(config.batch_size or min(device.batch_size, fitting), CHUNK_TILES)
        self.size = self.batch_size
        self.readers = config.threads or device.readers
        self._seconds = dict.fromkeys(("read", "decode", "device", "wait"), 0.0)
        self._begun = time.perf_counter()
        self._encoded = 0
        self._lock = threading.Lock()

    def timing(self, left: int) -> Timing:
        """Return how fast it has been, and where the time went, with so many tiles to go."""
        elapsed = time.perf_counter() - self._begun
        rate = self._encoded / elapsed if elapsed else 0.0
        with self._lock:
            spent = dict(self._seconds)
        for name in ("read", "decode"):
            spent[name] /= self.readers
        for name in ("device", "wait"):
            spent[name] /= self._device.encoders
        return Timing(elapsed, rate, left / rate if rate else 0.0, **{f"{name}_s": s for name, s in spent.items()})

    def batches(self, slides: Iterable[SlideTiles]) -> Generator[Batch]:
        """Yield every batch, in order.

        Raises
        ------
        InferenceError
            When the device fails, or has too little memory even for one tile.
        """
        cuts = ((tiles, *cut) for tiles in slides for cut in tiles.cuts(self.batch_size))
        readers = ThreadPoolExecutor(self.readers, thread_name_prefix="tiles")
        encoders = ThreadPoolExecutor(self._device.encoders, thread_name_prefix="encode")
        going_on: deque[tuple[Any, Future[Batch]]] = deque()
        self._begun = time.perf_counter()
        try:
            with self._device.shared_cores():
                free = self._ring()
                while True:
                    while free and (cut := next(cuts, None)) is not None:
                        slot = free.pop()
                        filling = self._fill(readers, slot, *cut)
                        going_on.append((slot, encoders.submit(self._encode, slot, filling, *cut)))
                    if not going_on:
                        return
                    slot, oldest = going_on.popleft()
                    batch = oldest.result()
                    free.append(slot)
                    self._encoded += len(batch.indices)
                    yield batch
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            encoders.shutdown(wait=True, cancel_futures=True)
            readers.shutdown(wait=True)
            _let_go_of_freed_memory()

    def _ring(self) -> "list[Tensor]":
        import torch

        side = self._loaded.identity.tile_px
        count, shape = self._device.encoders + SPARE_SLOTS, (self.batch_size, side, side, 3)
        pinned = self._device.name == "cuda"
        return [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(count)]

    def _fill(
        self, readers: ThreadPoolExecutor, slot: "Tensor", tiles: SlideTiles, start: int, stop: int
    ) -> "list[Future[list[int]]]":
        each = max(READ_AT_ONCE, -(-(stop - start) // self.readers))
        origins, pictures = tiles.grid.origins_px0[start:stop], slot.numpy()
        parts = range(0, stop - start, each)
        return [readers.submit(self._read, tiles, origins[p : p + each], pictures[p : p + each], p) for p in parts]

    def _read(
        self, tiles: SlideTiles, origins: npt.NDArray[np.float64], into: npt.NDArray[np.uint8], first: int
    ) -> list[int]:
        begun, read = time.perf_counter(), READING.seconds
        failed = tiles.read(origins, into)
        read = READING.seconds - read
        self._count(read=read, decode=time.perf_counter() - begun - read)
        return [first + place for place in failed]

    def _count(self, **seconds: float) -> None:
        with self._lock:
            for name, spent in seconds.items():
                self._seconds[name] += spent

    def _encode(
        self, slot: "Tensor", filling: "list[Future[list[int]]]", tiles: SlideTiles, start: int, stop: int
    ) -> Batch:
        begun = time.perf_counter()
        failed = list(itertools.chain.from_iterable(part.result() for part in filling))
        full = time.perf_counter()
        features, message = self._encode_or_halve(slot[: stop - start])
        self._count(wait=full - begun, device=time.perf_counter() - full)
        indices = np.arange(start, stop)
        if failed:
            indices, features = np.delete(indices, failed), np.delete(features, failed, axis=0)
        return Batch(tiles, indices, features, len(failed), message)

    def _encode_or_halve(self, pictures: "Tensor") -> tuple[Features, str]:
        import torch

        message = ""
        while True:
            size = self.size
            try:
                with torch.inference_mode():
                    parts = [
                        self._loaded.encode(pictures[first : first + size].to(self._device.name, non_blocking=True))
                        for first in range(0, len(pictures), size)
                    ]
                    return torch.cat(parts).float().cpu().numpy(), message
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise InferenceError(
                        "The GPU has no memory for even one tile: choose the CPU as device."
                    ) from error
                message = self._halve(size) or message
                torch.cuda.empty_cache()
            except RuntimeError as error:
                words = str(error).splitlines()[0]
                raise InferenceError(f"{self._device.words} failed while encoding tiles: {words}") from error

    def _halve(self, size: int) -> str:
        """Encode fewer at once from now on; what to say of it, unless another thread does."""
        with self._lock:
            if self.size < size:
                return ""
            self.size = size // 2
        return f"The GPU ran out of memory at {size} tiles a batch; going on with {self.size}."


def _let_go_of_freed_memory() -> None:
    """Return to the system what glibc keeps of ended threads and the next cannot use: 20 MB more with every slide."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # musl has none
        trim(0)
