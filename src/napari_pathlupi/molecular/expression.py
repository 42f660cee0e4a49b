"""Expression tables as training targets: one number per case and gene set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import MIN_GENES, measured_sets


@dataclass(frozen=True, slots=True, eq=False)
class GeneSetScale:
    """How the expression of a case becomes the activity of gene sets, fitted on training cases only.

    Each gene is replaced by its rank among the training cases (0 to 1, ties at their middle), so that no outlier and no
    unit matters; a set is the mean of its genes; each set is then brought to mean 0 and standard deviation 1 over the
    training cases, so that all weigh alike in a loss. Ranks before the mean did best in a trial; all of it is our
    choice, as the paper's scaling is not known.

    Parameters
    ----------
    names
        The G gene sets that enough genes were measured for.
    too_few
        Number of usable genes of each set that was left out.
    genes
        The genes that are used.
    sorted_values
        Per gene, its values in the training cases, ascending.
    members
        (genes, G) 1 where a gene belongs to a set.
    centre, spread
        (G,) mean and standard deviation of each set over the training cases.
    """

    names: tuple[str, ...]
    too_few: Mapping[str, int]
    genes: tuple[str, ...]
    sorted_values: tuple[npt.NDArray[np.float64], ...]
    members: npt.NDArray[np.float64]
    centre: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]

    @classmethod
    def fit(
        cls, training: pd.DataFrame, gene_sets: Mapping[str, Sequence[str]], min_genes: int = MIN_GENES
    ) -> "GeneSetScale":
        """Return the scale of a training table.

        Parameters
        ----------
        training
            Cases × genes, log2(TPM + 1); columns are gene symbols, NaN where not measured. Any unit that keeps the
            order of the cases gives the same result.
        gene_sets
            Gene symbols by name of the set.
        min_genes
            Sets with fewer usable genes are left out. A gene is usable when it varies between the training cases.

        Raises
        ------
        TableError
            When the table is not of that form or no set is left.
        """
        table = numbers_only(training)
        usable = table.columns[(table.max() > table.min()).to_numpy()]
        kept, too_few = measured_sets(gene_sets, usable, min_genes)
        names = tuple(kept)
        genes = tuple(dict.fromkeys(gene for name in names for gene in kept[name]))
        chosen = [frozenset(kept[name]) for name in names]
        members = np.array([[gene in one for one in chosen] for gene in genes], dtype=np.float64)
        ordered = tuple(np.sort(table[gene].dropna().to_numpy()) for gene in genes)
        pooled = _pooled(table, genes, ordered, members)
        centre, spread = np.nanmean(pooled, axis=0), np.nanstd(pooled, axis=0)
        return cls(names, too_few, genes, ordered, members, centre, spread)

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return cases × gene sets, in standard deviations of the training cases; NaN where nothing was measured.

        Raises
        ------
        TableError
            When a gene is missing that the scale was fitted on, or the table is not one of numbers.
        """
        pooled = _pooled(numbers_of(table, self.genes), self.genes, self.sorted_values, self.members)
        return pd.DataFrame((pooled - self.centre) / self.spread, index=table.index, columns=list(self.names))


def level_out(table: pd.DataFrame) -> pd.DataFrame:
    """Return cases × genes less the mean of the measured genes of each case.

    In a logarithm, a factor on all genes of a case (how deep it was sequenced, how much of its RNA a few genes take)
    is a constant, and changes nothing any more. Taking the middle of each sample from a logarithm is common before
    samples are compared; the mean in place of the median is our choice. Genes rank and standardise as before.

    Parameters
    ----------
    table
        Cases × genes, in a logarithm or z-scores, NaN where not measured. *All* genes that were measured: the mean of
        a few is no level.
    """
    return table.sub(table.mean(axis=1), axis=0)


def numbers_only(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of expression as numbers, or raise `TableError`: cases and genes are there once, only numbers."""
    for axis, what in ((table.index, "case"), (table.columns, "gene")):
        if not axis.is_unique:
            raise TableError(f"the {what} {axis[axis.duplicated()][0]} is in the expression table twice: keep one.")
    wrong = [column for column, kind in table.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if wrong:
        raise TableError(
            f"the column {wrong[0]} of the expression table is not of numbers: give cases × genes, and only those."
        )
    return table.astype(np.float64)


def numbers_of(table: pd.DataFrame, genes: Sequence[str]) -> pd.DataFrame:
    """Return a table as of `numbers_only` that has these genes of the training cases, or raise `TableError`."""
    table = numbers_only(table)
    missing = sorted(set(genes).difference(table.columns))
    if missing:
        raise TableError(
            f"the expression table lacks {len(missing)} of the {len(set(genes))} genes of the training cases "
            f"({', '.join(missing[:3])} ...): give the same genes for all cases."
        )
    return table


def _pooled(
    table: pd.DataFrame,
    genes: Sequence[str],
    sorted_values: Sequence[npt.NDArray[np.float64]],
    members: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """(cases, sets) mean rank of the measured genes of each set."""
    values = table[list(genes)].to_numpy()
    ranks = np.empty_like(values)
    for i, known in enumerate(sorted_values):
        below, up_to = (np.searchsorted(known, values[:, i], side=side) for side in ("left", "right"))
        ranks[:, i] = (below + up_to) / (2 * len(known))
    measured = np.isfinite(values)
    counts = measured @ members
    sums = np.where(measured, ranks, 0.0) @ members
    return np.asarray(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))
