"""Where the bytes of a slide come from: a file of this machine, read at any place from any thread."""

import os
import threading
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._slide import fingerprint_of


class Source(ABC):
    """Bytes that are read by place.

    Attributes
    ----------
    name
        The file's name, for messages.
    size
        Its bytes.
    fingerprint
        Names its content, wherever it lies.
    """

    name: str
    size: int

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """32 hex digits that name the content."""

    @abstractmethod
    def file(self) -> BinaryIO:
        """Return the whole as a file that tifffile can read; the caller closes it."""

    @abstractmethod
    def read(self, offset: int, count: int) -> bytes:
        """Return exactly ``count`` bytes from ``offset`` on.

        Raises
        ------
        SlideError
            When they cannot be had, or are no longer those of the file that was opened.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held; reading afterwards takes hold again."""


class _Handle:
    """An open file that is closed when its last reader lets go, so that closing a slide never cuts a read short."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class LocalSource(Source):
    """A file of this machine, known again by its size and its time.

    Network drives may tell one time by the name and another by the open file, so every state that was once seen to
    belong to this content is known.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        state = _state_of(path.stat())
        self._known, self.size = {state}, state[0]
        self._handle: _Handle | None = None
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(self.path)

    def file(self) -> BinaryIO:
        return self.path.open("rb")

    def read(self, offset: int, count: int) -> bytes:
        try:
            handle = self._handle or self._open()
            data = self._read_at(handle.number, offset, count)
            state = _state_of(os.fstat(handle.number))
            if state not in self._known:
                self._must_hold_the_same(state)
        except OSError as error:
            raise SlideError(f"{self.path} can no longer be read ({error.strerror}): check the drive.") from error
        if len(data) < count:
            raise SlideError(f"{self.name} ends in the middle of a tile: copy it again.")
        return data

    def _open(self) -> _Handle:
        with self._lock:
            if self._handle is None:
                self._handle = _Handle(os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))
            return self._handle

    def _read_at(self, number: int, offset: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(number, count, offset)
        with self._lock:  # Windows
            os.lseek(number, offset, os.SEEK_SET)
            return os.read(number, count)

    def _must_hold_the_same(self, state: tuple[int, int]) -> None:
        """A file that was only touched goes on; one that was written to is another slide."""
        self.close()
        if fingerprint_of(self.path) != self.fingerprint:
            raise SlideError(f"{self.name} was replaced while it was open: open it again.")
        self._known.add(state)

    def close(self) -> None:
        with self._lock:
            self._handle = None


def _state_of(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns
