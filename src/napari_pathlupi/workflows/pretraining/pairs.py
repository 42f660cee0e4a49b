"""What a slide encoder is pre-trained on: cases with tiles and measurements, and which of them a step sees."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.workflows.parallel import processes, rank
from napari_pathlupi.workflows.pretraining.config import PretrainConfig

KINDS = ("rna", "dna")
"""Of measurements, in the order of the columns of what is known."""
LOOKED_AT, LOOKED_AT_TILES = 1000, 256
"""Cases, and tiles of each, that mean and spread of the features are taken from (our choice)."""
Rows = npt.NDArray[np.intp]


class Tiles(Protocol):
    """The tile vectors of a case, read when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return some of them; the rows ascend."""


@dataclass(frozen=True, slots=True, eq=False)
class Molecules:
    """What was measured of the cases.

    Parameters
    ----------
    encoder
        Name and settings of the molecular encoder.
    columns
        Names of the columns: genes, alterations.
    values
        (cases, columns) float32, NaN where not measured; a whole row of them for a case without.
    weights
        Folder of a published scGPT that the encoder begins with; "" begins anew.
    """

    encoder: CataloguePart
    columns: tuple[str, ...]
    values: npt.NDArray[np.float32]
    weights: str = ""

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(cases,) whether anything was measured."""
        return np.asarray(np.isfinite(self.values).any(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class PairedCases:
    """Cases that each have tiles and at least one measurement.

    Parameters
    ----------
    tiles
        Of each case, all slides together.
    identity
        The patch encoder that made them.
    molecules
        By kind: "rna", "dna" or both.
    names
        Of the cases; they are numbered where nobody names them.
    """

    tiles: Sequence[Tiles]
    identity: EncoderIdentity
    molecules: Mapping[str, Molecules]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(map(str, range(len(self.tiles)))))
        shapes = {kind: one.values.shape for kind, one in self.molecules.items()}
        fits = all(shapes[kind] == (len(self.tiles), len(self.molecules[kind].columns)) for kind in shapes)
        if not shapes or not set(shapes) <= set(KINDS) or not fits or len(self.names) != len(self.tiles):
            raise MismatchError(
                f"{len(self.tiles)} cases, measured {shapes}: one row of rna or dna per case is needed."
            )
        if len(self.tiles) < 2:
            raise MismatchError(f"{len(self.tiles)} cases cannot be told from each other: at least 2 are needed.")
        if alone := int((~self.paired.any(axis=1)).sum()):
            raise MismatchError(f"{alone} of {len(self.tiles)} cases have neither RNA nor DNA: leave them out.")
        if empty := [name for name, tiles in zip(self.names, self.tiles, strict=True) if not len(tiles)]:
            raise MismatchError(f"{len(empty)} cases have no tile ({empty[0]} …): leave them out or embed them again.")

    @property
    def paired(self) -> npt.NDArray[np.bool_]:
        """(cases, kinds) what was measured of each, in the order of `KINDS`."""
        none = np.zeros(len(self.tiles), bool)
        known = [self.molecules[kind].known if kind in self.molecules else none for kind in KINDS]
        return np.stack(known, axis=1)

    def moments(self, seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (dim,) mean and standard deviation of some tiles of some cases; 1 for a feature that never varies.

        Raises
        ------
        MismatchError
            When one has vectors of another length or numbers that are not finite.
        """
        chosen = np.unique(np.linspace(0, len(self.tiles) - 1, min(LOOKED_AT, len(self.tiles))).round().astype(int))
        sums, squares, count = np.zeros(self.identity.dim), np.zeros(self.identity.dim), 0
        for case in chosen:
            part = self.drawn(int(case), LOOKED_AT_TILES, np.random.default_rng((seed, case))).astype(np.float64)
            sums, squares, count = sums + part.sum(axis=0), squares + (part**2).sum(axis=0), count + len(part)
        mean = sums / count
        spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        spread[spread < np.maximum(1e-6, 1e-7 * np.abs(mean))] = 1.0
        return mean, spread

    def drawn(self, case: int, most: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
        """Return at most so many tiles of a case, without replacement, in their order; errors as of `moments`."""
        tiles = self.tiles[case]
        count = len(tiles)
        rows = np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))
        part = np.asarray(tiles[rows], np.float32)
        if part.shape != (len(rows), self.identity.dim) or not np.isfinite(part).all():
            raise MismatchError(
                f"the tiles of {self.names[case]} have the shape {part.shape} or numbers that are not finite: "
                f"{self.identity.name} gives {self.identity.dim} finite numbers per tile; embed it again."
            )
        return part


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some cases of a step, padded, on the processor.

    Parameters
    ----------
    seed
        Of what is random when they are encoded.
    features, real
        (cases, tiles, dim) vectors, and (cases, tiles) False on padding.
    molecules
        By kind (cases, columns), NaN where not measured.
    """

    seed: int
    features: Tensor
    real: Tensor
    molecules: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.real)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What this process sees of a step.

    Parameters
    ----------
    parts
        One after the other.
    counts
        Cases of each process.
    paired
        (cases of all processes, kinds) what was measured.
    """

    parts: Sequence[Part]
    counts: tuple[int, ...]
    paired: Tensor

    @property
    def own(self) -> slice:
        """Which of the cases of all processes are those of this one."""
        before = sum(self.counts[: rank()])
        return slice(before, before + self.counts[rank()])


class Steps:
    """The steps of a pre-training, each a function of seed, epoch and its number, so that it can be made again.

    Parameters
    ----------
    cases, config
        Of the pre-training.
    """

    def __init__(self, cases: PairedCases, config: PretrainConfig) -> None:
        self._cases, self._config, self._paired = cases, config, cases.paired
        self.per_epoch = max(1, len(cases.tiles) // config.batch)

    def of_epoch(self, epoch: int) -> Iterator[Step]:
        """Yield the steps of an epoch; the next is read while one is computed."""
        order = np.random.default_rng((self._config.seed, epoch)).permutation(len(self._cases.tiles))
        with ThreadPoolExecutor(self._config.readers) as readers, ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._step, readers, order, epoch, 0)
            for number in range(1, self.per_epoch + 1):
                step = coming.result()
                if number < self.per_epoch:
                    coming = ahead.submit(self._step, readers, order, epoch, number)
                yield step

    def _step(self, readers: ThreadPoolExecutor, order: Rows, epoch: int, number: int) -> Step:
        chosen = order[number * self._config.batch : (number + 1) * self._config.batch]
        each, count = self._config.accumulate, processes()
        edges = [i * len(chosen) // (each * count) for i in range(each * count + 1)]
        parts = []
        for i in range(rank() * each, (rank() + 1) * each):
            rows = chosen[edges[i] : edges[i + 1]]
            seed = ((self._config.seed * 1_000_003 + epoch) * self.per_epoch + number) * each * count + i
            if len(rows):
                parts.append(self._part(readers, rows, epoch, seed))
        counts = tuple(edges[(i + 1) * each] - edges[i * each] for i in range(count))
        return Step(parts, counts, torch.from_numpy(self._paired[chosen]))

    def _part(self, readers: ThreadPoolExecutor, rows: Rows, epoch: int, seed: int) -> Part:
        cases, config = self._cases, self._config

        def drawn(case: int) -> npt.NDArray[np.float32]:
            return cases.drawn(case, config.tiles, np.random.default_rng((config.seed, epoch, case)))

        bags = list(readers.map(drawn, map(int, rows)))
        features = np.zeros((len(bags), max(map(len, bags)), cases.identity.dim), np.float32)
        real = np.zeros(features.shape[:2], bool)
        for i, bag in enumerate(bags):
            features[i, : len(bag)], real[i, : len(bag)] = bag, True
        molecules = {kind: torch.from_numpy(one.values[rows]) for kind, one in cases.molecules.items()}
        return Part(seed, torch.from_numpy(features), torch.from_numpy(real), molecules)
