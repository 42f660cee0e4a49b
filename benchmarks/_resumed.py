"""Cells of a long table, each a line of JSON in a file: what is there is not computed again."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

DATA = Path(os.environ.get("PATHLUPI_TEST_DATA", Path(__file__).parents[2] / "shared/data/open"))
"""The real transcriptomes and labels."""

Cell = TypeVar("Cell")


def finished(out: Path) -> dict[str, dict[str, Any]]:
    """Return the lines that are there by the digest of their cell; a half-written last line does not count."""
    lines = {}
    for text in out.read_text(encoding="utf-8").splitlines() if out.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines[line["digest"]] = line
    return lines


def computed(
    run_cell: Callable[[Cell, Path], dict[str, Any]], cells: Sequence[Cell], jobs: int
) -> Iterator[dict[str, Any]]:
    """Yield the lines of cells as they are finished, in their order."""
    if jobs == 1:
        yield from (run_cell(cell, DATA) for cell in cells)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_cell, cells, [DATA] * len(cells))
