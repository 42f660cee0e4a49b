"""Files that are damaged at random, and what a session does first with them."""

import os
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_pathlupi.errors import PathlupiError

HANDLES = Path("/proc/self/fd")
LONGEST_S, MOST_MB = 10.0, 1000
EXTREMES = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0", b"\x40\x42\x0f\0"]  # the last: 10^6


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of many damaged files: how many, how many opened, the slowest in seconds, the memory added in MB."""

    cases: int
    opened: int
    slowest_s: float
    added_mb: float


def index_of(path: Path) -> list[int]:
    """Where the bytes of the index lie: every IFD of a TIFF and what its entries point to, else the first 2 KiB."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return _index_of_tiff(tiff)
    except tifffile.TiffFileError:
        return list(range(min(2048, path.stat().st_size)))


def _index_of_tiff(tiff: Any) -> list[int]:
    pages = list(tiff.pages) + [sub for page in tiff.pages for sub in (page.pages or [])]
    entry = 20 if tiff.is_bigtiff else 12
    places = list(range(16))
    for page in pages:
        places += range(page.offset, page.offset + 8 + entry * len(page.tags))
        for tag in page.tags:
            places += range(tag.valueoffset, tag.valueoffset + min(64, 8 * tag.count))
    return sorted(set(places))


def mutated(data: bytes, index: list[int], rng: np.random.Generator) -> bytes:
    """The bytes cut short, changed anywhere, changed in the index, or with one part where another belongs."""
    changed = bytearray(data)
    kind = rng.integers(5)
    if kind == 0:
        return bytes(changed[: rng.integers(1, len(data))])
    if kind == 1:
        for place in rng.integers(len(data), size=rng.integers(1, 20)):
            changed[place] = rng.integers(256)
    elif kind == 2:
        place = int(rng.choice(index[:-4]))
        changed[place : place + 4] = rng.choice(EXTREMES)
    elif kind == 3:
        for place in rng.choice(index, rng.integers(1, 6)):
            changed[place] = rng.integers(256)
    else:
        count = int(rng.integers(1, 64))
        source, target = rng.integers(len(data) - count, size=2)
        changed[target : target + count] = data[source : source + count]
    return bytes(changed)


def use(path: Path, open_file: Callable[[Path], Any]) -> bool:
    """Open, look at the whole, read a part: whether that went well. Only our own errors may come out."""
    try:
        with warnings.catch_warnings(), open_file(path) as slide:
            warnings.simplefilter("ignore")
            slide.thumbnail(64)
            slide.read_level(0, (40, 50), (80, 80))
    except PathlupiError as error:
        assert str(error)
        assert "\n" not in str(error)
        return False
    return True


def fuzz(path: Path, damaged: Path, open_file: Callable[[Path], Any], cases: int, seed: int = 17) -> Fuzzed:
    """Damage a file again and again, and use it; a case may take `LONGEST_S`, and all together `MOST_MB`."""
    data, index, rng = path.read_bytes(), index_of(path), np.random.default_rng(seed)
    before, opened, slowest = _peak_mb(), 0, 0.0
    for _ in range(cases):
        damaged.write_bytes(mutated(data, index, rng))
        started = time.process_time()
        opened += use(damaged, open_file)
        slowest = max(slowest, time.process_time() - started)
        assert slowest < LONGEST_S
        assert _peak_mb() - before < MOST_MB
    assert handles_on(damaged) == 0
    return Fuzzed(cases, opened, slowest, _peak_mb() - before)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def handles_on(path: Path) -> int:
    """How many handles of this process are open on a file; 0 where that cannot be known."""
    if not HANDLES.exists():
        return 0
    return sum(1 for handle in HANDLES.iterdir() if handle.is_symlink() and os.readlink(handle) == str(path))  # noqa: PTH115
