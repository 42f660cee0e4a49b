"""One bounded memory for decoded tiles, shared by the viewer and by inference."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
import numpy.typing as npt

from napari_pathlupi.slides._fork import hold_while_forking

Picture = npt.NDArray[np.uint8]


class TileCache:
    """Keeps the tiles used last, up to a number of bytes but always the last; safe from several threads.

    Parameters
    ----------
    limit_bytes
        Decoded bytes to keep at most.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._tiles: OrderedDict[Hashable, Picture] = OrderedDict()
        self._bytes = 0
        self.lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], Picture]) -> Picture:
        """Return a tile, decoding it when it is not kept. Two threads may decode the same tile; neither waits."""
        with self.lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
                return tile
        tile = decode()
        with self.lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self.limit_bytes and len(self._tiles) > 1:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes
        return tile

    def clear(self) -> None:
        """Forget every tile."""
        with self.lock:
            self._tiles.clear()
            self._bytes = 0


TILES = TileCache(512 * 1024 * 1024)
"""The one cache of this process: 512 MiB, about 2,700 tiles of 256 px (our choice)."""
hold_while_forking(TILES.lock)
