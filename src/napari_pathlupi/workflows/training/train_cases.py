"""What a model learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.workflows.training.bags import Bags

MIN_CASES = 10
"""Our choice: with fewer there is no saying what a slide like them is."""


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
