"""The expression of single genes as training targets, and which genes tell the classes apart."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.expression import numbers_of, numbers_only
from napari_pathlupi.molecular.gene_sets import MIN_GENES, measured_sets

CLIP = 5.0
"""Standard deviations beyond which a gene is held (our choice; a nearest centroid of BRCA's z-scores went from .61 to
.72 with it)."""
_TAIL = 0.01
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class GeneScale:
    """How the expression of a case becomes targets gene by gene, fitted on training cases only.

    A gene is held between the 1st and 99th percentile of the training cases while its mean and standard deviation are
    taken, so that one outlier does not flatten all others; its z-scores are held within ±5. The percentiles and the 5
    are our choice; z-scores per gene follow G-HANet, the probable parent of PathLUPI.

    Parameters
    ----------
    sets
        How many genes each set has, in the order of the columns: what the objective `reconstruction-genes` asks for.
    genes
        One per column: the genes of all sets, one set after the other, so that a gene of two sets is there twice.
    too_few
        Number of usable genes of each set that was left out.
    centre, spread
        (columns,) mean and standard deviation over the training cases; the latter NaN where no target is wanted.
    """

    sets: Mapping[str, int]
    genes: tuple[str, ...]
    too_few: Mapping[str, int]
    centre: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        training: pd.DataFrame,
        gene_sets: Mapping[str, Sequence[str]],
        min_genes: int = MIN_GENES,
        groups: npt.NDArray[np.float64] | None = None,
    ) -> "GeneScale":
        """Return the scale of a training table.

        Parameters
        ----------
        training
            Cases × genes, in a logarithm; NaN where not measured.
        gene_sets
            Gene symbols by name of the set.
        min_genes
            Sets with fewer usable genes are left out. A gene is usable when it varies between the training cases.
        groups
            (cases,) group of each training case, NaN where unknown: genes that do not tell them apart
            (`informative_genes`) keep their columns, which are NaN for everybody, so that nothing is asked of them and
            all folds have the same columns. None asks for all.

        Raises
        ------
        TableError
            When the table is not one of numbers or no set is left.
        """
        table = numbers_only(training)
        usable = table.columns[(table.max() > table.min()).to_numpy()]
        kept, too_few = measured_sets(gene_sets, usable, min_genes)
        genes = tuple(gene for members in kept.values() for gene in members)
        once = list(dict.fromkeys(genes))
        centre, spread = _inner_moments(table[once].to_numpy())
        if groups is not None:
            spread[~informative_genes(table[once], groups)] = np.nan
        column = {gene: i for i, gene in enumerate(once)}
        place = [column[gene] for gene in genes]
        return cls({name: len(members) for name, members in kept.items()}, genes, too_few, centre[place], spread[place])

    @property
    def names(self) -> tuple[str, ...]:
        """A name per column: set and gene."""
        sets = [name for name, size in self.sets.items() for _ in range(size)]
        return tuple(f"{name} {gene}" for name, gene in zip(sets, self.genes, strict=True))

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return cases × columns in standard deviations of the training cases; NaN where nothing was measured.

        Raises
        ------
        TableError
            When a gene is missing that the scale was fitted on, or the table is not one of numbers.
        """
        values = (numbers_of(table, self.genes)[list(self.genes)].to_numpy() - self.centre) / self.spread
        return pd.DataFrame(np.clip(values, -CLIP, CLIP), index=table.index, columns=list(self.names))


def _inner_moments(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(genes,) mean and standard deviation of values held between their outer percentiles."""
    low = np.nanquantile(values, _TAIL, axis=0, method="higher")  # of those measured: one outlier is beyond it
    high = np.nanquantile(values, 1 - _TAIL, axis=0, method="lower")
    held = np.clip(values, low, high)
    flat = np.nanstd(held, axis=0) == 0  # varies in so few cases that the percentiles hide it
    held[:, flat] = values[:, flat]
    return np.nanmean(held, axis=0), np.nanstd(held, axis=0)


def informative_genes(training: pd.DataFrame, groups: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return (genes,) whether a gene tells groups of training cases apart.

    Two groups: Welch's t-test, p < 0.05, as G-HANet masks its targets (there between high and low risk). More: a
    one-way analysis of variance at the same level, which is our choice. Not corrected for how many genes there are.

    Parameters
    ----------
    training
        Cases × genes.
    groups
        (cases,) group of each case, NaN where unknown.

    Raises
    ------
    TableError
        When fewer than two groups have two cases.
    """
    from scipy.stats import ttest_ind

    parts = [training.to_numpy()[groups == group] for group in np.unique(groups[np.isfinite(groups)])]
    parts = [part for part in parts if len(part) >= 2]
    if len(parts) < 2:
        raise TableError("genes that tell groups apart need two groups of at least two training cases with expression.")
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # of genes that do not vary within a group
        p = ttest_ind(*parts, equal_var=False, nan_policy="omit").pvalue if len(parts) == 2 else _anova(parts)
    return np.asarray(np.ma.filled(p, np.nan) < _LEVEL)


def _anova(parts: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """(genes,) p of a one-way analysis of variance without what was not measured (SciPy 1.12 cannot leave it out)."""
    from scipy.stats import f

    counts = np.stack([np.isfinite(part).sum(axis=0) for part in parts])
    means = np.stack([np.nanmean(part, axis=0) for part in parts])
    within = sum(np.nansum((part - mean) ** 2, axis=0) for part, mean in zip(parts, means, strict=True))
    total = counts.sum(axis=0)
    between = np.nansum(counts * (means - np.nansum(counts * means, axis=0) / total) ** 2, axis=0)
    groups = (counts > 0).sum(axis=0)
    return np.asarray(f.sf((between / (groups - 1)) / (within / (total - groups)), groups - 1, total - groups))
