"""Copy number of a panel of genes, in levels."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_pathlupi.core.tables import MISSING
from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.axes import some
from napari_pathlupi.molecular.rows import Rows, SampleTable

KINDS = ("two-copy deletion", "loss", "gain", "amplification")
"""What Threads tells apart."""
LEVELS = (-2.0, -1.0, 1.0, 2.0)
"""The level of each of `KINDS`: cBioPortal, "File Formats", Discrete Copy Number Data."""
_PARTIAL = -1.5
"""A partial deletion, which cBioPortal's importer takes for a deletion of both copies."""
_GENE_COLUMNS = ("hugo_symbol", "gene symbol", "gene_symbol", "symbol", "gene", "sample")
_NO_SAMPLES = ("entrez_gene_id", "locus id", "cytoband", "entrez_id")


def read_copy_number(path: str | Path, panel: Sequence[str]) -> SampleTable:
    """Return the discrete copy numbers of the genes of a panel: cBioPortal's data_cna.txt, GISTIC's thresholded genes.

    Genes × samples, levels -2 (two-copy deletion), -1 (loss), 0, 1 (gain) and 2 (amplification); a gene that is absent
    and an empty or NA cell are unknown. Of several rows of a gene the level furthest from 0 counts (our choice).

    Raises
    ------
    TableError
        When it cannot be read, has no column of gene symbols, or a row is cut off or holds another number; it names
        line and sample.
    """
    table = Rows.of(path)
    gene_at = table.column(_GENE_COLUMNS)
    taken = [i for i, name in enumerate(table.header) if i != gene_at and name and name.lower() not in _NO_SAMPLES]
    place = {gene: i for i, gene in enumerate(panel)}
    levels = np.full((len(taken), len(panel)), np.nan)
    seen, outside = Counter[str](), 0
    for line, row in table.cells(1 + max(taken, default=gene_at)):
        gene = row[gene_at].strip().partition("|")[0]  # GISTIC appends what tells genes of one name apart
        if gene not in place:
            outside += 1
            continue
        seen[gene] += 1
        new = np.array([_level(row[i], f"{table.path.name}, line {line}, {table.header[i]}") for i in taken])
        old = levels[:, place[gene]]
        levels[:, place[gene]] = np.where(np.isnan(old) | (np.abs(new) > np.abs(old)), new, old)
    if not seen or not taken:
        raise TableError(
            f"{table.path.name} has {len(taken)} samples and {len(seen)} of the {len(panel)} genes of the panel: give "
            "genes × samples, genes by HUGO symbols."
        )
    values = np.stack([levels == level for level in LEVELS], axis=2).astype(np.float64)
    values[np.isnan(levels)] = np.nan
    notes = [f"{table.path.name}: {len(taken)} samples; {outside} rows are of other genes."]
    if absent := [gene for gene in panel if gene not in seen]:
        notes.append(f"The copy number of {len(absent)} genes of the panel is unknown: {some(absent)}.")
    if twice := [gene for gene, count in seen.items() if count > 1]:
        notes.append(f"{len(twice)} genes have several rows, the level furthest from 0 was taken: {some(twice)}.")
    return SampleTable(tuple(table.header[i] for i in taken), values, tuple(notes))


def _level(cell: str, where: str) -> float:
    cell = cell.strip()
    if cell.lower() in MISSING:
        return np.nan
    try:
        level = float(cell)
    except ValueError:
        level = np.nan
    if level not in (*LEVELS, 0.0, _PARTIAL):
        raise TableError(
            f"{where}: {cell!r} is no level of copy number, -2, -1, 0, 1 or 2; give the discrete table (data_cna.txt), "
            "not log2 ratios."
        )
    return -2.0 if level == _PARTIAL else level
