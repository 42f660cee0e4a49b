"""Appending features, so that whatever is told to be stored is stored."""

import contextlib
import errno
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import MismatchError, OutputError
from napari_pathlupi.store._lock import Lock
from napari_pathlupi.store._stored import (
    CHUNK_TILES,
    LAYOUT,
    Features,
    SlideFacts,
    StoredBag,
    digest_of,
    grid_parts,
)

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def told(place: str) -> Iterator[None]:
    """Tell what cannot be written in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            words = "the disk is full: free some space and start again, it goes on where it stopped"
        else:
            words = f"{error.strerror or error}: check the address and your rights, and start again"
        raise OutputError(f"cannot write {place}: {words}.") from error


class BagWriter:
    """Stores the tiles of one slide in their order; made by `FeatureStore.writer`.

    A chunk is written whole, under another name first where the file system can rename; only then its entry in
    ``commits`` says how many of its tiles count. So a process that is killed leaves what its commits say, and at most
    one chunk is computed again. Every chunk ends in a checksum (CRC-32C), which is looked at before going on.

    Attributes
    ----------
    done
        Tiles that are stored already: go on from here.
    """

    def __init__(self, group: Any, place: str, lock: Lock) -> None:
        self._group, self._place, self._lock = group, place, lock
        self._bag = StoredBag(group, place)
        self.done = self._trusted()
        self._rest: list[Features] = []
        first = self.done // CHUNK_TILES * CHUNK_TILES
        if self.done > first:
            self._rest.append(self._bag.rows(first, self.done))
        self._taken = self.done

    @property
    def batch_size(self) -> int:
        """Batch that the last run used; the same one gives the same bits. 0 when there was none."""
        return int(self._bag.facts.get("batch_size", 0))

    def _trusted(self) -> int:
        """Tiles that are stored and whole: a machine that lost its power may have kept a commit and lost its chunk."""
        done = self._bag.done
        for start in range(0, done, CHUNK_TILES):
            stop = min(start + CHUNK_TILES, done)
            try:
                whole = bool(np.isfinite(self._bag.rows(start, stop)).all())
            except OutputError:
                whole = False
            if not whole:
                self._group["commits"][start // CHUNK_TILES :] = 0
                return start
        return done

    def append(self, features: Features) -> None:
        """Take the vectors of the next tiles; each chunk that is full is stored.

        Raises
        ------
        OutputError
            When the disk is full or cannot be written, or a number does not fit the store's precision.
        InUseError
            When another process took over.
        """
        with told(self._place):
            self._lock.renew()
            while len(features):
                room = CHUNK_TILES - self._taken % CHUNK_TILES
                self._rest.append(features[:room])
                self._taken += len(self._rest[-1])
                features = features[room:]
                if self._taken % CHUNK_TILES == 0 or self._taken == len(self._bag):
                    self._commit()

    def keep(self) -> None:
        """Store what was taken although its chunk is not full; the next run fills it up."""
        if self._taken > self.done:
            with told(self._place):
                self._commit()

    def _commit(self) -> None:
        self._lock.hold()
        first = (self._taken - 1) // CHUNK_TILES * CHUNK_TILES
        chunk = np.concatenate(self._rest)
        with np.errstate(over="ignore"):
            stored = chunk.astype(self._bag.features.dtype)
        if not np.isfinite(stored).all():
            raise OutputError(
                f"the features of {self._bag.slide.name} do not fit {stored.dtype}, or are no numbers: "
                "store them as float32."
            )
        self._bag.features[first : self._taken] = stored
        self._group["commits"][first // CHUNK_TILES] = len(chunk)
        self.done = self._taken
        if self._taken % CHUNK_TILES == 0 or self._taken == len(self._bag):
            self._rest = []
        else:
            self._rest = [chunk]

    def note(self, batch_size: int, run: Mapping[str, Any]) -> None:
        """Add to the runs how this one went, and which batch it used."""
        self._bag.facts["batch_size"] = batch_size
        self._bag.facts["runs"] = [*self._bag.facts["runs"], dict(run)]
        with told(self._place):
            self._group.attrs["pathlupi"] = self._bag.facts

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    def __enter__(self) -> "BagWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def prepare(group: Any, slide: SlideFacts, grid: TileGrid, encoder: EncoderIdentity, dtype: str, place: str) -> None:
    """Make the arrays of a group, or make sure that those there are for the same tiles.

    The attributes come last: a group without them was left by a process that died, and is made anew.

    Raises
    ------
    MismatchError
        When it holds features of other tiles, or in another precision.
    """
    arrays, numbers = grid_parts(grid)
    digest = digest_of(arrays, numbers)
    if "pathlupi" in group.attrs:
        _must_match(StoredBag(group, place), digest, len(grid), dtype)
        return
    from zarr.codecs import Crc32cCodec

    sums = (Crc32cCodec(),)
    for name, array in arrays.items():
        group.create_array(f"grid/{name}", data=array, compressors=sums, overwrite=True)
    shape = len(grid), encoder.dim
    group.create_array(
        "features",
        shape=shape,
        chunks=(CHUNK_TILES, encoder.dim),
        dtype=dtype,
        compressors=sums,
        fill_value=float("nan"),
        overwrite=True,
    )
    count = -(-len(grid) // CHUNK_TILES)
    group.create_array("commits", shape=(count,), chunks=(1,), dtype="int32", compressors=None, overwrite=True)
    group.attrs["pathlupi"] = {
        "layout": LAYOUT,
        "slide": asdict(slide),
        "encoder": asdict(encoder),
        "grid": numbers,
        "grid_digest": digest,
        "runs": [],
    }


def _must_match(found: StoredBag, digest: str, tiles: int, dtype: str) -> None:
    if found.facts["layout"] != LAYOUT:
        raise MismatchError(f"{found.place} is of layout {found.facts['layout']}, this version reads {LAYOUT}: update.")
    if found.facts["grid_digest"] != digest:
        raise MismatchError(
            f"{found.place} holds {len(found):,} other tiles of {found.slide.name} than the {tiles:,} asked for: use "
            "the settings of then, another store, or delete that folder."
        )
    if found.features.dtype != np.dtype(dtype):
        raise MismatchError(f"{found.place} holds {found.features.dtype}: go on with that, or use another store.")
