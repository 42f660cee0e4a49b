"""Memory for pictures that is used again.

The system hands out memory in pages and clears each when it is first touched: for a tile that takes nearly as long as
decoding it. So tiles lie in slabs, whose places are taken again once a tile is gone, and some empty slabs are kept.
"""

import contextlib
import math
import mmap
import threading
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.slides._fork import hold_while_forking

Picture = npt.NDArray[np.uint8]

SLAB_BYTES = 8 * 1024**2
"""What is taken from the system at once (our choice)."""
SMALLEST_BYTES, LARGEST_BYTES = 8 * 1024, 2 * 1024**2
"""Smaller pictures lie elsewhere, larger ones have a slab of their own (our choice)."""
LARGEST_LONE_BYTES = 32 * 1024**2
"""And beyond this they lie elsewhere again (our choice): a view of 4K is 25 MB."""
GRAIN_BYTES = 1024**2
"""Slabs of one picture are whole multiples of this, so that they suit others, too (our choice)."""
STEPS = 8
"""Sizes of places from one power of two to the next (our choice): crops of any sizes need few kinds of slabs, at less
than an eighth of each place."""
IDLE_BYTES = 64 * 1024**2
"""Slabs that are kept although nothing lies in them (our choice)."""


class _Slab:
    """A piece of memory, cut into places of one size."""

    __slots__ = ("address", "free", "memory", "places", "size")

    def __init__(self, count: int) -> None:
        self.memory = np.frombuffer(_from_system(count), np.uint8)
        self.address = self.memory.ctypes.data

    def cut(self, size: int) -> None:
        self.size, self.places = size, self.memory.nbytes // size
        self.free = [self.address + index * size for index in range(self.places)]


def _from_system(count: int) -> mmap.mmap:
    """Memory that goes back as soon as it is let go of: that of malloc stays wherever something lies behind it."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):  # Windows
        return mmap.mmap(-1, count)
    memory = mmap.mmap(-1, count, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux; as NumPy asks for from 4 MiB on
        with contextlib.suppress(OSError):  # not every kernel has them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class _Place:
    """Where one picture lies: once nobody holds the picture or a view of it any more, the place is free again."""

    __slots__ = ("__array_interface__", "_memory", "_slab")
    __array_interface__: dict[str, Any]

    def __init__(self, slab: _Slab, address: int, shape: tuple[int, ...], memory: "PictureMemory") -> None:
        self._slab, self._memory = slab, memory
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": shape, "data": (address, False)}

    def __del__(self) -> None:
        self._memory.give_back(self._slab, self.__array_interface__["data"][0])


class PictureMemory:
    """Gives places for pictures; safe from several threads."""

    def __init__(self) -> None:
        self._with_room: dict[int, list[_Slab]] = {}
        self._idle: list[_Slab] = []
        self._to_let_go = -IDLE_BYTES  # of what is idle; no module is asked for the bound, which may be gone at exit
        self._returned: deque[tuple[_Slab, int]] = deque()
        self.lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> Picture:
        """Return an array of bytes, as `numpy.empty` does."""
        count = math.prod(shape)
        if not SMALLEST_BYTES <= count <= LARGEST_LONE_BYTES:
            return np.empty(shape, np.uint8)
        lone = count > LARGEST_BYTES
        grain = GRAIN_BYTES if lone else 2 ** (count.bit_length() - 1) // STEPS
        size = -(-count // grain) * grain
        with self.lock:
            self._take_back()
            slabs = self._with_room.setdefault(size, [])
            if not slabs:
                slabs.append(self._slab(size if lone else SLAB_BYTES))
                slabs[-1].cut(size)
            slab = slabs[-1]
            address = slab.free.pop()
            if not slab.free:
                slabs.pop()
        return np.asarray(_Place(slab, address, shape, self))

    def give_back(self, slab: _Slab, address: int) -> None:
        """Take note that nobody holds a place any more; in any thread, at any moment, so it never waits."""
        self._returned.append((slab, address))
        if self.lock.acquire(blocking=False):
            try:
                self._take_back()
            finally:
                self.lock.release()

    def _slab(self, count: int) -> _Slab:
        for index, slab in enumerate(self._idle):
            if slab.memory.nbytes == count:
                self._to_let_go -= count
                return self._idle.pop(index)
        return _Slab(count)

    def _take_back(self) -> None:
        while self._returned:
            slab, address = self._returned.popleft()
            slab.free.append(address)
            slabs = self._with_room.setdefault(slab.size, [])
            if len(slab.free) == 1:
                slabs.append(slab)
            if len(slab.free) == slab.places:
                slabs.remove(slab)
                self._idle.append(slab)
                self._to_let_go += slab.memory.nbytes
        while self._to_let_go > 0:
            self._to_let_go -= self._idle.pop(0).memory.nbytes


MEMORY = PictureMemory()
"""The one memory of this process."""
hold_while_forking(MEMORY.lock)
