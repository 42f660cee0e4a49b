"""Which axis of a table holds the genes, what their symbols are, and whose the other axis is."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import case_of
from napari_pathlupi.core.tables import read_cells
from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.molecular.matrix import Matrix

Values = npt.NDArray[np.float64]

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?")
_BARCODE = re.compile(r"TCGA[-.]\w\w[-.]\w{4}([-.](\d\d).*)?", re.IGNORECASE)
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|mrz|mär|mai|okt|dez)\w*"
_DATE = re.compile(
    rf"\d{{1,2}}[-./ ]+{_MONTH}|{_MONTH}[-./ ]+\d{{1,4}}|\d{{1,4}}[-./]\d{{1,2}}[-./]\d{{1,4}}", re.IGNORECASE
)
"""What spreadsheets make of SEPT1, MARCH1 and DEC1."""
_NOT_GENES = re.compile(
    r"(?i:age|sex|site|stage|grade|event|status|label|time|os|pfs|dss|pfi)|.*_(cnv|mut)|(?!hsa-)[^A-Z]*[a-z][^A-Z]*"
)


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def directed(matrix: Matrix, genes_in: str, notes: list[str]) -> tuple[list[str], list[str], Values]:
    """Return cases, genes and (cases, genes) values of a table of either direction.

    Genes are on the axis with more symbols of the Hallmark sets and Ensembl ids. Of the columns of cases × genes those
    are left out that are called like clinical facts, are in small letters, or are mutations and copy numbers (GENE_mut
    and GENE_cnv beside GENE_rnaseq, as in MCAT and PORPOISE).

    Raises
    ------
    TableError
        When both axes are alike.
    """
    known = {gene for genes in hallmark().values() for gene in genes}
    rows, columns = (
        sum(_base(name) in known or _ENSEMBL.fullmatch(name) is not None for name in axis)
        for axis in (matrix.rows, matrix.columns)
    )
    if not genes_in and rows == columns:
        raise TableError(
            f"whether the genes of {matrix.name} stand in rows ({some(matrix.rows)}) or columns "
            f'({some(matrix.columns)}) is not clear: state genes_in = "rows" or "columns".'
        )
    if genes_in == "rows" or (not genes_in and rows > columns):
        notes.append("Genes stand in rows.")
        return list(matrix.columns), list(matrix.rows), matrix.values.T
    genes = np.array([_NOT_GENES.fullmatch(name) is None for name in matrix.columns], dtype=bool)
    if 2 * genes.sum() < len(genes) and not any(name.endswith("_rnaseq") for name in matrix.columns):
        genes[:] = True  # small letters are the rule here
    suffixed = np.array([name.endswith("_rnaseq") for name in matrix.columns], dtype=bool)
    genes = suffixed if suffixed.any() else genes
    left_out = [name for name, gene in zip(matrix.columns, genes, strict=True) if not gene]
    if left_out:
        notes.append(f"{len(left_out)} columns are no genes and were left out: {some(left_out)}.")
    kept = [_base(name) for name, gene in zip(matrix.columns, genes, strict=True) if gene]
    return list(matrix.rows), kept, matrix.values[:, genes]


def _base(gene: str) -> str:
    return gene.removesuffix("_rnaseq")  # MCAT, PORPOISE


def symbols_of(
    genes: list[str], values: Values, probe_map: str, name: str, notes: list[str]
) -> tuple[list[str], Values]:
    """Return genes by symbol, Ensembl ids through a probe map, without those that have none.

    Raises
    ------
    TableError
        When a probe map is needed and not given or not one.
    """
    dates = [gene for gene in genes if _DATE.fullmatch(gene)]
    if dates:
        notes.append(f"{len(dates)} names of genes were turned to dates by a spreadsheet and left out: {some(dates)}.")
    ids = [gene for gene in genes if _ENSEMBL.fullmatch(gene)]
    if ids and not probe_map:
        raise TableError(
            f"{name} names {len(ids)} genes by Ensembl ids ({ids[0]} ...): give a probe map, a table with the columns "
            "id and gene (Xena offers one beside each of its tables)."
        )
    symbols = dict.fromkeys(dates, "")
    if ids:
        known = _probes(probe_map)
        symbols |= {gene: known.get(gene, known.get(gene.partition(".")[0], "")) for gene in ids}
        lost = sum(not symbols[gene] for gene in ids)
        notes.append(f"{len(ids)} Ensembl ids became symbols; {lost} are not in the probe map and were left out.")
    kept = [i for i, gene in enumerate(genes) if symbols.get(gene, gene)]
    return [symbols.get(genes[i], genes[i]) for i in kept], values[:, kept]


def _probes(path: str) -> Mapping[str, str]:
    cells = read_cells(path)
    ids = cells.find("", ("id", "#id", "gene_id", "probe", "ensembl", "ensembl_gene_id"), "the Ensembl id")
    symbols = cells.find("", ("gene", "gene_name", "symbol", "hugo_symbol", "hgnc_symbol"), "the symbol")
    if not ids or not symbols:
        raise TableError(f"the probe map {cells.name} needs the columns id and gene.")
    full = dict(zip(cells.values(ids), cells.values(symbols), strict=True))
    return {**{name.partition(".")[0]: symbol for name, symbol in full.items()}, **full}


def of_patients(names: list[str], values: Values, notes: list[str]) -> tuple[list[str], Values]:
    """Return the rows of the one kind of sample to take of each TCGA patient; all others as they are."""
    found = [_BARCODE.fullmatch(name) for name in names]
    codes = [int(match[2]) if match and match[2] else 0 for match in found]
    cases = [case_of(name) for name in names]
    best: dict[str, int] = {}
    for case, code in zip(cases, codes, strict=True):
        if code < 10:
            best[case] = min(best.get(case, 9), code)
    normal = sum(code >= 10 for code in codes)
    kept = [i for i, case in enumerate(cases) if codes[i] == best.get(case)]
    if normal:
        notes.append(f"{normal} samples of normal tissue or controls were left out.")
    if others := len(names) - normal - len(kept):
        notes.append(f"{others} further tumour samples of the same patients were left out; primary tumours (01) first.")
    return [cases[i] for i in kept], values[kept]
