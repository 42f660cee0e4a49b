"""HDF5 files of features: opened, looked at and read, each fault told in one sentence."""

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import FeaturesError

FAULTS = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    IndexError,
    AttributeError,
    MemoryError,
    OverflowError,
)
"""What h5py raises over a damaged file: a changed byte may turn up as any of these."""
MOST_UNPACKED, ALWAYS_NUMBERS = 100, 10**7
"""Numbers that a stored byte may stand for, and how many are never too many (our choice)."""

_HEAP = b"GCOL\x01\0\0\0"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file to read from.

    Raises
    ------
    FeaturesError
        When it, or what is read from it meanwhile, is damaged.
    """
    import h5py

    try:
        _must_have_sound_heaps(path)
        with h5py.File(path, "r") as file:
            yield file
    except FAULTS as error:
        words = str(error).strip().splitlines()
        raise FeaturesError(
            f"{path.name} cannot be read as HDF5 ({words[0] if words else type(error).__name__}): copy it again."
        ) from error


def _must_have_sound_heaps(path: Path) -> None:
    """Walk the global heaps, where words are kept: over a damaged one libhdf5 loops for ever or ends the process.

    Their layout is that of the HDF5 file format specification, version 3.0, section III.E.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAP)
        while start >= 0:
            end, place = start + int.from_bytes(data[start + 8 : start + 16], "little"), start + 16
            while place + 16 <= end <= len(data):
                number, size = (int.from_bytes(data[place + a : place + b], "little") for a, b in ((0, 2), (8, 16)))
                place += 16 + -(-size // 8) * 8 if number else max(size, 1)
            if not start + 16 < place <= end:
                raise ValueError("a heap of words is damaged")
            start = data.find(_HEAP, start + 8)


def datasets(path: Path) -> Mapping[str, tuple[frozenset[str], tuple[int, ...]]]:
    """Return the names of attributes and the shape of each dataset by name, of any depth; nothing of another file."""
    import h5py

    found: dict[str, tuple[frozenset[str], tuple[int, ...]]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = frozenset(item.attrs), tuple(item.shape or ())

    try:
        if path.is_file() and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                file.visititems(note)
    except FAULTS:
        return {}
    return found


def matrix(file: Any, key: str, name: str) -> npt.NDArray[np.float32]:
    """Return (N, D) numbers as float32, whatever floats they are stored as.

    Raises
    ------
    FeaturesError
        When they are no table, no numbers, or more than the file can hold.
    """
    values = table(file, key, name)
    if not np.issubdtype(values.dtype, np.floating):
        raise FeaturesError(
            f"{key!r} of {name} holds {values.dtype}, features are floating-point numbers: check --keys."
        )
    return np.asarray(values, dtype=np.float32)


def table(file: Any, key: str, name: str) -> npt.NDArray[Any]:
    """Return a dataset of two axes; a leading axis of one is left out, and one without rows may lack the second."""
    stored = file[key]
    numbers = int(np.prod(stored.shape, dtype=np.float64))
    if numbers > max(ALWAYS_NUMBERS, MOST_UNPACKED * int(stored.id.get_storage_size())):
        raise FeaturesError(f"{key!r} of {name} states {numbers:,} numbers, which the file cannot hold: copy it again.")
    values = np.asarray(stored[()])
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.shape == (0,):
        values = values.reshape(0, 0)
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise FeaturesError(f"{key!r} of {name} is {values.dtype} of shape {values.shape}, no table of numbers.")
    return values


def places(file: Any, key: str, name: str) -> npt.NDArray[np.float64]:
    """Return (N, 2) coordinates as they are stored."""
    values = table(file, key, name)
    if len(values) and values.shape[1] != 2:
        raise FeaturesError(f"{key!r} of {name} has {values.shape[1]} columns where x and y should stand.")
    return values.astype(np.float64).reshape(-1, 2)


def text(value: Any) -> str:
    """Return an attribute as words; "" for None, which TRIDENT stores as a word."""
    words = value.decode(errors="replace") if isinstance(value, bytes) else str(value) if value is not None else ""
    return "" if words == "None" else words


def number(value: Any) -> float | None:
    """Return an attribute as a number, None where it is none or not above 0."""
    try:
        found = float(np.ravel(value)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return found if np.isfinite(found) and found > 0 else None


def whole(value: Any) -> int | None:
    """Return an attribute as a whole number above 0, or None."""
    found = number(value)
    return round(found) if found else None
