"""RNA-seq that follows the latent programmes of a case."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from napari_pathlupi.errors import TableError
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import PROGRAMMES, Case

MEAN_LOG2, SPREAD_LOG2 = 3.8, 2.4
"""Of gene baselines in log2(TPM+1): from silent to thousands, as in bulk tumours; our choice."""


def simulate_expression(
    cases: Sequence[Case], config: SimulationConfig, gene_sets: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Return (cases, genes) log2(TPM+1) with genes tied to the programmes through their gene sets.

    A gene's loading is positive in most members of a programme's sets, absent in some and negative in few; genes of
    no programme vary on their own and with three hidden factors that have nothing to do with the slide. To that come
    tissue purity, measurement noise that grows towards low counts, dropouts and a few outliers. All of it is our
    choice; a case's row does not depend on how many cases there are.

    Parameters
    ----------
    cases
        The rows.
    config
        For the seed and the strength of the noise.
    gene_sets
        Genes by the name of their set.

    Raises
    ------
    TableError
        When a programme has none of its gene sets.
    """
    genes = sorted({gene for members in gene_sets.values() for gene in members})
    random = np.random.default_rng([config.seed, 0, 0, 1])
    baseline = random.normal(MEAN_LOG2, SPREAD_LOG2, len(genes)).clip(0.0, 13.0)
    loadings = _loadings(random, genes, gene_sets)
    hidden = random.normal(0, 0.35, (3, len(genes))) * (random.random((3, len(genes))) < 0.3)
    spread = random.gamma(3.0, 0.13, len(genes))
    rows = [_row(case, baseline, loadings, (hidden, spread)) for case in cases]
    return pd.DataFrame(
        np.stack(rows).round(3), index=pd.Index([case.name for case in cases], name="case"), columns=genes
    )


def _loadings(
    random: np.random.Generator, genes: Sequence[str], gene_sets: Mapping[str, Sequence[str]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(programmes, genes) change in log2 expression from silent to fully active."""
    place = {gene: number for number, gene in enumerate(genes)}
    loadings = np.zeros((len(PROGRAMMES), len(genes)))
    for row, programme in zip(loadings, PROGRAMMES, strict=True):
        known = [name for name in programme.gene_sets if name in gene_sets]
        if not known:
            raise TableError(
                f"none of the gene sets of {programme.name!r} is given ({', '.join(programme.gene_sets)}): "
                "give the Hallmark gene sets."
            )
        members = sorted({place[gene] for name in known for gene in gene_sets[name]})
        sign = random.choice([1.0, 0.0, -1.0], len(members), p=[0.70, 0.22, 0.08])
        row[members] = sign * random.gamma(2.0, 0.9, len(members))
    return loadings


def _row(
    case: Case,
    baseline: np.ndarray[tuple[int], np.dtype[np.float64]],
    loadings: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    nuisance: tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(genes,) expression of one case."""
    random, noise = case.random(6), case.config.rna_noise
    hidden, spread = nuisance
    purity = np.clip(1 + noise * random.normal(0, 0.12), 0.5, 1.5)
    centred = np.array(case.activities) - 0.4
    log2 = baseline + purity * centred @ loadings + noise * random.normal(0, 1, len(hidden)) @ hidden
    log2 += noise * random.normal(0, 1, len(log2)) * (spread + 0.8 * np.exp2(-np.maximum(log2, 0) / 2))
    log2 += noise * random.normal(0, 0.15)  # sequencing depth that normalisation left over
    outliers = random.random(len(log2)) < 0.001 * noise
    log2[outliers] += random.normal(0, 4.0, int(outliers.sum()))
    dropout = random.random(len(log2)) < noise * 0.6 * np.exp2(-np.maximum(log2, 0) * 1.5)
    return np.asarray(np.where(dropout, 0.0, log2.clip(0.0, 16.0)))
