"""Features on disk: one Zarr group per slide and encoder, appended a chunk at a time (docs/reference/store.md)."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import NotFoundError, OutputError, SettingsError
from napari_pathlupi.store._lock import Lock
from napari_pathlupi.store._stored import CHUNK_TILES, SlideFacts, StoredBag
from napari_pathlupi.store._writer import BagWriter, prepare, told

__all__ = ["CHUNK_TILES", "BagWriter", "FeatureStore", "SlideFacts", "StoredBag"]


class FeatureStore:
    """A Zarr store of bags, in a folder or at an address that fsspec and Zarr know.

    Parameters
    ----------
    place
        The folder, or an address such as ``s3://bucket/features.zarr``. It is made when something is written.
    dtype
        What features are stored in, "float32" or "float16"; they come back as float32.

    Raises
    ------
    SettingsError
        When they cannot be stored in that.
    """

    def __init__(self, place: str | Path, dtype: str = "float32") -> None:
        if dtype not in ("float32", "float16"):
            raise SettingsError(f"features cannot be stored as {dtype}: choose float32 or float16.")
        self.place, self.dtype = str(place), dtype

    def __repr__(self) -> str:
        return f"FeatureStore({self.place!r})"

    def stored(self) -> Iterator[StoredBag]:
        """Yield every bag, complete or not; the features are not read."""
        from fsspec.core import url_to_fs

        files, root = url_to_fs(self.place)
        for path in sorted(files.glob(f"{root}/*/*/zarr.json")):
            fingerprint, encoder = path.rsplit("/", 3)[1:3]
            bag = self._open(f"{fingerprint}/{encoder}")
            if bag is not None:
                yield bag

    def find(self, slide: str, encoder: EncoderIdentity) -> StoredBag:
        """Return the bag of a slide without reading its features.

        Parameters
        ----------
        slide
            Fingerprint, or name of the file.
        encoder
            Which encoder made it.

        Raises
        ------
        NotFoundError
            When there is none, or several slides have that name.
        """
        bag = self._open(_key(slide, encoder))
        if bag is not None:
            return bag
        named = [bag for bag in self.stored() if bag.slide.name == slide and bag.encoder == encoder]
        if len(named) == 1:
            return named[0]
        if named:
            prints = ", ".join(bag.slide.fingerprint for bag in named)
            raise NotFoundError(f"{len(named)} slides in {self.place} are called {slide}: say which ({prints}).")
        raise NotFoundError(f"{self.place} holds no features of {slide} by {encoder}: embed it first.")

    def bag(self, slide: str, encoder: EncoderIdentity) -> FeatureBag:
        """Return the bag of a slide in memory; see `find` and `StoredBag.load`."""
        return self.find(slide, encoder).load()

    def writer(self, slide: SlideFacts, grid: TileGrid, encoder: EncoderIdentity, dtype: str = "float32") -> BagWriter:
        """Return what appends the features of a slide, going on where the last one stopped.

        Parameters
        ----------
        slide, grid, encoder
            What is embedded, in which tiles, by what.

        Raises
        ------
        InUseError
            When another process writes it.
        MismatchError
            When it was begun with other tiles.
        OutputError
            When nothing can be written there.
        """
        import zarr
        from fsspec.core import url_to_fs

        key = _key(slide.fingerprint, encoder)
        place = f"{self.place}/{key}"
        with told(place):
            files, root = url_to_fs(self.place)
            lock = Lock(files, f"{root}/{key}.lock", f"{slide.name} in {self.place}")
            try:
                for left_over in files.glob(f"{root}/{key}/**/*.partial"):  # by a process that was killed while writing
                    files.rm_file(left_over)
                group = zarr.open_group(self.place, mode="a").require_group(key)
                prepare(group, slide, grid, encoder, self.dtype, place)
                return BagWriter(group, place, lock)
            except BaseException:
                lock.release()
                raise

    def _open(self, key: str) -> StoredBag | None:
        import zarr

        try:
            group: Any = zarr.open_group(self.place, path=key, mode="r")
        except (FileNotFoundError, KeyError):
            return None
        except ValueError as error:  # metadata that is no JSON
            raise OutputError(f"{self.place}/{key} is damaged ({error}): delete it and embed again.") from error
        return StoredBag(group, f"{self.place}/{key}") if "pathlupi" in group.attrs else None


def _key(fingerprint: str, encoder: EncoderIdentity) -> str:
    """Where a bag lies: a folder for the slide, in it one for the encoder."""
    digest = hashlib.sha256(json.dumps(asdict(encoder), sort_keys=True).encode()).hexdigest()
    return f"{fingerprint}/{encoder.name}-{digest[:8]}"
