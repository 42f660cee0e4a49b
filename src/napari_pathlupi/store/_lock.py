"""One writer at a time: a small file that says who, and since when."""

import contextlib
import json
import os
import socket
import time
from typing import Any
from uuid import uuid4

from napari_pathlupi.errors import InUseError

STALE_S = 15 * 60.0
"""A lock that was not renewed for this long is dead wherever its owner ran (our choice)."""
RENEW_S = 20.0
"""A lock is renewed at most this often (our choice)."""


class Lock:
    """A lock file, held from when it is made until `release`.

    A lock is dead when its process is gone from this machine, or when nobody renewed it for `STALE_S`; a dead one is
    taken over. Should two take over the same one at once, the first finds at its next `hold` that it lost it.

    Parameters
    ----------
    files
        An fsspec file system.
    path
        Where the file lies on it.
    what
        What is locked, for messages.

    Raises
    ------
    InUseError
        When somebody alive holds it.
    """

    def __init__(self, files: Any, path: str, what: str) -> None:
        self._files, self._path, self._what = files, path, what
        now = time.time()
        self._mine: dict[str, Any] = {
            "owner": uuid4().hex,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now,
            "seen": now,
        }
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            files.pipe_file(path, self._text(), mode="create")
        except FileExistsError:
            other = self._read()
            if other is not None and _alive(other):
                raise self._in_use(other) from None
            files.pipe_file(path, self._text())

    def _text(self) -> bytes:
        return json.dumps(self._mine).encode()

    def _read(self) -> dict[str, Any] | None:
        for _ in range(5):
            try:
                found: dict[str, Any] = json.loads(self._files.cat_file(self._path))
                return found
            except FileNotFoundError:
                return None
            except ValueError:  # somebody is writing it at this moment, or died doing so
                time.sleep(0.02)
        return None

    def _in_use(self, other: dict[str, Any]) -> InUseError:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(other["since"]))
        return InUseError(
            f"{self._what} is being written by process {other['pid']} on {other['host']} since {since}: wait for it, "
            f"or stop it and start again."
        )

    def hold(self) -> None:
        """Make sure that the lock is still ours, and renew it.

        Raises
        ------
        InUseError
            When another took it over, because this process had stood still.
        """
        other = self._read()
        if other is None or other["owner"] != self._mine["owner"]:
            raise self._in_use(other) if other else InUseError(f"the lock of {self._what} was removed: start again.")
        self._mine["seen"] = time.time()
        self._files.pipe_file(self._path, self._text())

    def renew(self) -> None:
        """Say now and then that the work goes on; cheap to call often."""
        if time.time() - self._mine["seen"] > RENEW_S:
            self.hold()

    def release(self) -> None:
        """Let others write, unless one does already."""
        with contextlib.suppress(OSError):
            other = self._read()
            if other is not None and other["owner"] == self._mine["owner"]:
                self._files.rm_file(self._path)


def _alive(other: dict[str, Any]) -> bool:
    if time.time() - other["seen"] > STALE_S:
        return False
    if other["host"] != socket.gethostname() or os.name == "nt":  # Windows has no harmless way to ask
        return True
    try:
        os.kill(other["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
