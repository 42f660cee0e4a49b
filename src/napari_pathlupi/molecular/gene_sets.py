"""Gene sets: names of groups of genes that act together."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from napari_pathlupi.core.tables import Cells, read_cells
from napari_pathlupi.errors import TableError, reason_of

GeneSets = MappingProxyType[str, tuple[str, ...]]
"""Gene symbols by name of the set; read-only."""
MIN_GENES = 5
"""Sets with fewer measured genes tell of those genes, not of the set (our choice)."""

_GENES = ("gene", "gene_symbol", "symbol", "hugo_symbol", "probe")
_HALLMARK = Path(__file__).with_name("h.all.v7.0.symbols.gmt")


def read_gene_sets(path: str | Path) -> GeneSets:
    """Return the gene sets of a file, whichever of these it is.

    * GMT: a set per line (`read_gmt`).
    * A table with a column per set and genes below, of unequal length (SurvPath's and MCAT's signatures).
    * A table with a column of genes (gene, symbol, probe) and columns of 0 and 1, one per set (SurvPath's
      compositions).
    * A table with a column of genes and anything else beside it (the centroids of PAM50): one set, named after the
      file.

    Raises
    ------
    TableError
        When it cannot be read or holds no set.
    """
    path = Path(path)
    if path.suffix.lower() == ".gmt":
        return read_gmt(path)
    cells = read_cells(path)
    genes = cells.find("", _GENES, "the gene")
    if not genes:
        return _of_columns(cells)
    symbols = [symbol.strip('"') for symbol in cells.values(genes)]
    others = [column for column in cells.frame.columns if column != genes]
    members = {column: {re.sub(r"\.0+$", "", value) for value in cells.values(column)} for column in others}
    if others and all(found <= {"0", "1", ""} for found in members.values()):
        sets = {
            column: tuple(s for s, value in zip(symbols, cells.values(column), strict=True) if value.startswith("1"))
            for column in others
        }
        return MappingProxyType({name: found for name, found in sets.items() if found})
    return MappingProxyType({path.name.partition(".")[0]: tuple(dict.fromkeys(filter(None, symbols)))})


def measured_sets(
    gene_sets: Mapping[str, Sequence[str]], genes: Iterable[str], at_least: int = MIN_GENES
) -> tuple[GeneSets, dict[str, int]]:
    """Return the measured genes of the sets that have enough of them, and how many each of the others has.

    Parameters
    ----------
    gene_sets
        Gene symbols by name of the set.
    genes
        What was measured.
    at_least
        Sets with fewer are left out; 5 is our choice.

    Raises
    ------
    TableError
        When no set is left.
    """
    there = set(genes)
    found = {name: tuple(dict.fromkeys(g for g in members if g in there)) for name, members in gene_sets.items()}
    kept = {name: members for name, members in found.items() if len(members) >= at_least}
    if not kept:
        raise TableError(
            f"none of the {len(found)} gene sets has {at_least} of the {len(there)} genes that can be used "
            "(measured, and not the same in all cases): both must be gene symbols, as HGNC writes them."
        )
    return MappingProxyType(kept), {name: len(members) for name, members in found.items() if name not in kept}


def _of_columns(cells: Cells) -> GeneSets:
    columns = list(cells.frame.columns)
    twice = next((name for name in columns if columns.count(name) > 1), "")
    if twice:
        raise TableError(f"{cells.name}: the gene set {twice} is there twice: rename one of them.")
    sets = {name: tuple(dict.fromkeys(filter(None, cells.values(name)))) for name in columns}
    number = next((name for name, genes in sets.items() if genes and all(_is_number(gene) for gene in genes)), "")
    if number:
        raise TableError(
            f"{cells.name}, column {number}: numbers are no genes; give a GMT file, or a table with a column per set."
        )
    return MappingProxyType({name: genes for name, genes in sets.items() if genes})


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d*)?", text) is not None


def read_gmt(path: str | Path) -> GeneSets:
    """Return the gene sets of a GMT file, in its order.

    One set per line, fields separated by tabs: name, description, gene symbols (format of GSEA, Broad Institute). Empty
    lines and empty fields are skipped; a gene that is named twice in a set counts once.

    Raises
    ------
    TableError
        When the file cannot be read, holds no set, names a set twice, or a line is not of that form.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"cannot read the gene sets {path}: {reason_of(error)}; give a GMT file in UTF-8.") from error
    gene_sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            raise TableError(f"{path.name}, line {number}: name, description and genes are needed, parted by tabs.")
        if name in gene_sets:
            raise TableError(f"{path.name}, line {number}: the gene set {name} is there twice: rename one of them.")
        gene_sets[name] = genes
    if not gene_sets:
        raise TableError(f"{path.name} holds no gene set: give a GMT file.")
    return MappingProxyType(gene_sets)


@cache
def hallmark() -> GeneSets:
    """Return the 50 Hallmark gene sets of MSigDB v7.0.

    Liberzon et al., Cell Systems 1:417, 2015; CC BY 4.0, Broad Institute, MIT and the Regents of the University of
    California. The attribution stands beside the file.
    """
    return read_gmt(_HALLMARK)
