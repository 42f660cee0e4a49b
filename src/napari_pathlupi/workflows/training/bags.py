"""What a model learns from: cases, and their bags in memory or read when they are asked for."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import overload

import numpy as np
import numpy.typing as npt

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MismatchError

Features = npt.NDArray[np.float32]
MEMORY_BYTES = 2 << 30
"""What bags that were read stay in, at most (our choice); those of .npy files stay where they are."""
MIN_CASES = 10
"""Our choice: with fewer there is no saying what a slide like them is."""


class Shelf:
    """What was read last, as far as it fits; several threads may ask at once.

    Parameters
    ----------
    most_bytes
        How much that is.
    """

    def __init__(self, most_bytes: int = MEMORY_BYTES) -> None:
        self.most_bytes, self._held = most_bytes, 0
        self._bags: OrderedDict[str, Features] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str, read: Callable[[], Features]) -> Features:
        """Return what has this name, reading it if it is not here any more."""
        with self._lock:
            if name in self._bags:
                self._bags.move_to_end(name)
                return self._bags[name]
        bag = read()
        with self._lock:
            if name not in self._bags and not isinstance(bag, np.memmap):
                self._bags[name] = bag
                self._held += bag.nbytes
            while self._held > self.most_bytes and len(self._bags) > 1:
                self._held -= self._bags.popitem(last=False)[1].nbytes
        return bag


@dataclass(frozen=True, slots=True, eq=False)
class Bags(Sequence[Features]):
    """Feature vectors of many cases, and what training must know of all of them at once.

    Parameters
    ----------
    readers
        Per bag, what returns its (tiles, dim) vectors; float16 and float32 alike.
    tiles
        (bags,) their lengths.
    sums, squares
        (bags, dim) sums of the vectors and of their squares.
    """

    readers: Sequence[Callable[[], Features]]
    tiles: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, readers: Sequence[Callable[[], Features]], identity: EncoderIdentity) -> "Bags":
        """Return bags that were looked at once.

        Raises
        ------
        MismatchError
            When one holds no tile, vectors of another length or numbers that are not finite.
        """
        facts = [_facts(i, read(), identity) for i, read in enumerate(readers)]
        tiles, sums, squares = (
            (np.array(part) for part in zip(*facts, strict=True)) if facts else (np.zeros((0, identity.dim)),) * 3
        )
        return cls(readers, tiles.astype(np.int64), sums, squares)

    @classmethod
    def held(cls, bags: Sequence[Features], identity: EncoderIdentity) -> "Bags":
        """Return bags that are in memory; errors as of `of`."""
        return cls.of([lambda bag=bag: bag for bag in bags], identity)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.readers)

    @overload
    def __getitem__(self, index: int) -> Features: ...
    @overload
    def __getitem__(self, index: slice) -> "Bags": ...
    def __getitem__(self, index: int | slice) -> "Features | Bags":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self.readers[index]()

    def take(self, rows: npt.NDArray[np.intp]) -> "Bags":
        """Return some of them, in this order; nothing is read."""
        return Bags([self.readers[int(i)] for i in rows], self.tiles[rows], self.sums[rows], self.squares[rows])

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (dim,) mean and standard deviation over all tiles; the latter 1 for a feature that never varies."""
        count = self.tiles.sum()
        mean = self.sums.sum(axis=0) / count
        spread = np.sqrt(np.maximum(self.squares.sum(axis=0) / count - mean**2, 0.0))
        spread[spread < np.maximum(1e-6, 1e-7 * np.abs(mean))] = 1.0
        return mean, spread

    def means(self) -> npt.NDArray[np.float64]:
        """Return (bags, dim) the mean vector of each."""
        return np.asarray(self.sums / self.tiles[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCases:
    """What a model learns from.

    Parameters
    ----------
    bags
        (tiles, dim) feature vectors: one bag per case with all of its slides together, unless ``owners`` says
        otherwise.
    identity
        The patch encoder that made them.
    task
        Name and settings of the task.
    wanted
        (cases, columns) what is known of each case, as the task reads it (for a classification the index of the
        class); NaN where unknown.
    targets
        (cases, columns) activities of gene sets, or genes, as the objective reads them; NaN where not measured, a
        whole row of them for a case without expression; None without any.
    gene_sets
        Names of its columns.
    owners
        (bags,) row of the case that each bag belongs to, where the bag of each slide is embedded for itself and the
        case is the mean of its embeddings; None where a case is one bag.
    """

    bags: Sequence[npt.NDArray[np.float32]]
    identity: EncoderIdentity
    task: CataloguePart
    wanted: npt.NDArray[np.float64]
    targets: npt.NDArray[np.float64] | None = None
    gene_sets: tuple[str, ...] = ()
    owners: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        owners = np.arange(len(self.bags)) if self.owners is None else self.owners
        count = len(np.unique(owners))
        task = tasks[self.task.name](**self.task.settings)
        rows = None if self.targets is None else self.targets.shape
        if self.wanted.shape != (count, task.columns) or rows not in (None, (count, len(self.gene_sets))):
            raise MismatchError(
                f"{count} bags, labels of the shape {self.wanted.shape}, targets of the shape {rows}: one row of each "
                f"per case is needed, with {task.columns} columns of labels and {len(self.gene_sets)} of targets."
            )
        if count < MIN_CASES:
            raise MismatchError(f"{count} cases: at least {MIN_CASES} are needed to say what a slide like them is.")
        task.check(self.wanted)
        if not isinstance(self.bags, Bags):
            object.__setattr__(self, "bags", Bags.held(self.bags, self.identity))

    @property
    def looked_at(self) -> Bags:
        """The bags, with what is known of them all."""
        assert isinstance(self.bags, Bags)
        return self.bags


def _facts(
    index: int, bag: Features, identity: EncoderIdentity
) -> tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    sums = squares = np.full(0, np.nan)
    if bag.ndim == 2 and bag.shape[1] == identity.dim and len(bag):
        parts = [np.asarray(bag[at : at + 4096], np.float64) for at in range(0, len(bag), 4096)]
        sums, squares = sum(part.sum(axis=0) for part in parts), sum((part**2).sum(axis=0) for part in parts)
    if not len(sums) or not np.isfinite(squares).all():
        raise MismatchError(
            f"bag {index} has the shape {bag.shape}: at least one tile of {identity.dim} finite numbers is "
            f"needed, as {identity.name} gives them."
        )
    return len(bag), sums, squares
