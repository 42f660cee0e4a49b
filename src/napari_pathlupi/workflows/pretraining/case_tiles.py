"""The tiles of a case where they lie: in a store, in a file, in several of them; read when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_pathlupi.store import StoredBag
from napari_pathlupi.workflows.pretraining.pairs import Rows, Tiles
from napari_pathlupi.workflows.training.bags import Shelf
from napari_pathlupi.workflows.training.study_data import Places

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StoredTiles:
    """The tiles of one slide in a store; a small bag is read whole and kept, of a large one only what is asked for.

    Parameters
    ----------
    bag
        Complete.
    shelf
        Where small ones are kept.
    most_bytes
        How large a small one may be.
    """

    bag: StoredBag
    shelf: Shelf
    most_bytes: int

    def __len__(self) -> int:
        return len(self.bag)

    def __getitem__(self, rows: Rows) -> Features:
        count, dim = len(self.bag), self.bag.encoder.dim
        if 4 * count * dim <= self.most_bytes:
            return self.shelf.get(self.bag.place, partial(self.bag.rows, 0, count))[rows]
        drawn, size = np.empty((len(rows), dim), np.float32), int(self.bag.features.chunks[0])
        for chunk in np.unique(rows // size):
            inside = rows // size == chunk
            start = int(chunk) * size
            drawn[inside] = self.bag.rows(start, min(start + size, count))[rows[inside] - start]
        return drawn


@dataclass(frozen=True, slots=True, eq=False)
class FileTiles:
    """The tiles of one slide in a file.

    Parameters
    ----------
    slide, places
        Which, and how it is read.
    count
        How many there are.
    """

    slide: str
    places: Places
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Rows) -> Features:
        return np.asarray(self.places.read(self.slide)[rows], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class JoinedTiles:
    """The tiles of several slides of a case, one after the other."""

    slides: Sequence[Tiles]

    def __len__(self) -> int:
        return sum(map(len, self.slides))

    def __getitem__(self, rows: Rows) -> Features:
        edges = np.cumsum([0, *map(len, self.slides)])
        cuts = np.searchsorted(rows, edges)
        parts = [
            slide[rows[cuts[i] : cuts[i + 1]] - edges[i]]
            for i, slide in enumerate(self.slides)
            if cuts[i] < cuts[i + 1]
        ]
        return np.concatenate(parts)
