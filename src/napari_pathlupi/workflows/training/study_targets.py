"""Expression as training targets: scaled on the training cases of a fold, with the same columns in every fold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.catalogue import objectives
from napari_pathlupi.core.cohort import Cohort
from napari_pathlupi.core.folds import Folds, Rows
from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.expression import GeneSetScale
from napari_pathlupi.molecular.gene_scale import GeneScale
from napari_pathlupi.molecular.gene_sets import measured_sets
from napari_pathlupi.workflows.cases.outcomes import groups_of


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The expression of a cohort, to be scaled fold by fold.

    Parameters
    ----------
    table
        (cases, genes), a row per case of the cohort, NaN where it has none.
    gene_sets
        Sets of the genes that vary among the training cases of every fold.
    by_gene
        Whether the objective reads genes.
    too_few
        Sets that were left out, with the number of their genes that could be used.
    told_apart
        The cohort, where only genes are asked for that tell its training cases apart; the others count as not measured,
        so that all folds have the same columns. None asks for all.
    """

    table: pd.DataFrame
    gene_sets: Mapping[str, Sequence[str]]
    by_gene: bool
    too_few: Mapping[str, int]
    told_apart: Cohort | None = None

    @classmethod
    def of(
        cls,
        expression: pd.DataFrame,
        gene_sets: Mapping[str, Sequence[str]],
        min_genes: int,
        split: tuple[Cohort, Folds],
        objective: str,
    ) -> "Targets":
        """Return what can be learned of an expression table.

        Parameters
        ----------
        expression
            Cases × genes.
        gene_sets, min_genes
            The sets, and how many of their genes must vary.
        split
            The cases and their folds.
        objective
            Name in the catalogue.

        Raises
        ------
        TableError
            When a fold has too few training cases with expression, or no set has enough genes, or none.
        """
        cohort, folds = split
        wanted = dict.fromkeys(gene for genes in gene_sets.values() for gene in genes)
        table = expression[[gene for gene in wanted if gene in expression.columns]].reindex(list(cohort.names))
        _must_meet(wanted, expression.columns)
        usable = np.ones(table.shape[1], dtype=bool)
        for fold in range(len(folds)):
            part = table.iloc[folds.train(fold)].dropna(how="all")
            if len(part) < 2:
                raise TableError(
                    f"fold {fold} has {len(part)} training cases with expression: train without, or with fewer folds."
                )
            usable &= (part.max() > part.min()).to_numpy()
        kept, too_few = measured_sets(gene_sets, table.columns[usable], min_genes)
        return cls(table, kept, bool(objectives[objective].reads_genes), too_few)

    def scaled(self, rows: Rows) -> tuple[npt.NDArray[np.float64], tuple[str, ...], dict[str, int]]:
        """Return the targets of the training cases, scaled on them alone.

        Returns
        -------
        values
            (cases, columns), NaN where not measured.
        names
            Of the columns.
        sets
            Genes of each set, where the columns are genes; else empty.
        """
        scale = self._scale(rows)
        sets = dict(scale.sets) if isinstance(scale, GeneScale) else {}
        return scale.apply(self.table.iloc[rows]).to_numpy(), scale.names, sets

    def activity(self, training: Rows, rows: Rows) -> pd.DataFrame:
        """Return cases × gene sets, scaled on training cases; NaN where not measured.

        Where the objective reads genes, a set is the mean of those that its training cases were asked for, as its claim
        is the mean over genes.
        """
        scale = self._scale(training)
        table = scale.apply(self.table.iloc[rows])
        if not isinstance(scale, GeneScale):
            return table
        owners = np.repeat(list(scale.sets), list(scale.sets.values()))
        return table.T.groupby(owners, sort=False).mean().T

    def _scale(self, rows: Rows) -> GeneSetScale | GeneScale:
        """Fitted on training cases alone."""
        training = self.table.iloc[rows]
        measured = training.dropna(how="all")
        if not self.by_gene:
            return GeneSetScale.fit(measured, self.gene_sets, 1)
        groups = None
        if self.told_apart is not None:
            wanted = self.told_apart.wanted[rows[training.index.isin(measured.index)]]
            groups = groups_of(self.told_apart.endpoint, wanted)
        return GeneScale.fit(measured, self.gene_sets, 1, groups)


def _must_meet(wanted: Iterable[str], genes: Iterable[str]) -> None:
    wanted, genes = list(wanted), list(genes)
    if not set(wanted) & set(genes):
        raise TableError(
            f"none of the {len(wanted)} genes of the gene sets ({', '.join(wanted[:3])} ...) is among those of the "
            f"expression table ({', '.join(genes[:3])} ...): both must name genes alike."
        )
