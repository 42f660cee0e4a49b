"""Which cases and tiles a step of the training sees: a function of seed and step, so that it can be made again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathlupi.workflows.parallel import processes, rank

if TYPE_CHECKING:
    from napari_pathlupi.workflows.training.bags import TrainingCases
    from napari_pathlupi.workflows.training.train_config import TrainConfig


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some cases of a step, padded.

    Parameters
    ----------
    features, real
        (slides, tiles, dim) vectors, and (slides, tiles) False on padding.
    owners
        (slides,) row of the case that each slide belongs to; None where every case is one row.
    wanted
        (cases, columns) labels, NaN where unknown or not yet wanted.
    targets, has_rna
        (cases, gene sets) activities, and (cases,) whether they are known.
    task_share, rna_share
        What share of the labelled cases of the whole step are here, and of those with RNA: the losses are means, and
        parts of a step must add up to it.
    """

    features: Tensor
    real: Tensor
    owners: Tensor | None
    wanted: Tensor
    targets: Tensor
    has_rna: Tensor
    task_share: float
    rna_share: float

    def by_slide(self, rows: Tensor) -> Tensor:
        """Return (cases, ...) numbers as those of each slide."""
        return rows if self.owners is None else rows[self.owners]

    def by_case(self, rows: Tensor) -> Tensor:
        """Return the mean over the slides of each case of (slides, ...) numbers."""
        if self.owners is None:
            return rows
        total = rows.new_zeros(len(self.wanted), *rows.shape[1:]).index_add(0, self.owners, rows)
        counts = torch.bincount(self.owners, minlength=len(self.wanted)).to(rows.dtype)
        return total / counts.view(-1, *[1] * (rows.ndim - 1))


class Schedule:
    """The steps of a training.

    Parameters
    ----------
    cases, has_rna, config
        Of the training.
    """

    def __init__(self, cases: "TrainingCases", has_rna: npt.NDArray[np.bool_], config: "TrainConfig") -> None:
        self._cases, self._has_rna, self._config = cases, has_rna, config
        self._has_label: npt.NDArray[np.bool_] = np.asarray(np.isfinite(cases.wanted).any(axis=1))
        self.rna_steps = config.rna_steps if has_rna.any() else 0
        useful = has_rna | self._has_label
        steps = config.steps_for(int(useful.sum()))
        self.total = self.rna_steps + steps
        stages = ((has_rna, self.rna_steps), (useful, steps))
        self._orders = [self._order(i, np.flatnonzero(pool), steps) for i, (pool, steps) in enumerate(stages)]
        none = np.zeros((len(cases.wanted), 0))
        self._targets = none if cases.targets is None else cases.targets
        self._slides = _slides_of(cases)

    def _order(self, stage: int, pool: npt.NDArray[np.intp], steps: int) -> npt.NDArray[np.intp]:
        """(steps × batch,) cases in the order they are seen: every one once before any is seen again."""
        count = steps * self._config.batch if len(pool) else 0
        rng = np.random.default_rng((self._config.seed, stage))
        passes = [rng.permutation(pool) for _ in range(-(-count // max(len(pool), 1)))]
        return np.concatenate([*passes, pool[:0]])[:count]

    def parts(self, step: int) -> Iterator[Batch]:
        """Yield what this process sees of a step, part by part."""
        late = step >= self.rna_steps
        batch, parts = self._config.batch, self._config.accumulate * processes()
        at = (step - self.rna_steps if late else step) * batch
        chosen = self._orders[late][at : at + batch]
        labelled = self._has_label if late else np.zeros_like(self._has_label)
        whole = max(labelled[chosen].sum(), 1), max(self._has_rna[chosen].sum(), 1)
        for i in range(rank() * self._config.accumulate, (rank() + 1) * self._config.accumulate):
            rows = chosen[i * len(chosen) // parts : (i + 1) * len(chosen) // parts]
            if len(rows):
                torch.manual_seed((self._config.seed * 1_000_003 + step) * parts + i)  # dropout
                shares = float(labelled[rows].sum() / whole[0]), float(self._has_rna[rows].sum() / whole[1])
                yield self._padded(rows, step, late, shares)

    def _padded(self, rows: npt.NDArray[np.intp], step: int, late: bool, shares: tuple[float, float]) -> Batch:
        cases, device = self._cases, self._config.device
        slides = rows if self._slides is None else np.concatenate([self._slides[row] for row in rows])
        bags = [self._drawn(int(slide), step) for slide in slides]
        features = np.zeros((len(bags), max(map(len, bags)), cases.identity.dim), dtype=np.float32)
        real = np.zeros(features.shape[:2], dtype=bool)
        for i, bag in enumerate(bags):
            features[i, : len(bag)], real[i, : len(bag)] = bag, True
        wanted = cases.wanted[rows] if late else np.full((len(rows), cases.wanted.shape[1]), np.nan)
        owners = None
        if self._slides is not None:
            counts = [len(self._slides[row]) for row in rows]
            owners = torch.from_numpy(np.repeat(np.arange(len(rows)), counts)).to(device)
        return Batch(
            features=torch.from_numpy(features).to(device),
            real=torch.from_numpy(real).to(device),
            owners=owners,
            wanted=torch.from_numpy(wanted.astype(np.float32)).to(device),
            targets=torch.from_numpy(self._targets[rows].astype(np.float32)).to(device),
            has_rna=torch.from_numpy(self._has_rna[rows]).to(device),
            task_share=shares[0],
            rna_share=shares[1],
        )

    def _drawn(self, slide: int, step: int) -> npt.NDArray[np.float32]:
        """At most so many tiles of a bag, in their order."""
        bag, most = self._cases.bags[slide], self._config.tiles
        if len(bag) <= most:
            return bag
        rng = np.random.default_rng((self._config.seed, step, slide))
        return bag[np.sort(rng.choice(len(bag), most, replace=False))]


def _slides_of(cases: "TrainingCases") -> list[npt.NDArray[np.intp]] | None:
    if cases.owners is None:
        return None
    return [np.flatnonzero(cases.owners == row) for row in range(len(cases.wanted))]
