"""Which genes a panel holds, and which samples were sequenced."""

import re
from pathlib import Path

from napari_pathlupi.core.tables import bytes_of
from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import read_gmt

_PANEL_HEADS = ("gene", "genes", "symbol", "gene_symbol", "hugo_symbol")


def read_panel(path: str | Path) -> tuple[str, ...]:
    """Return the genes of a panel in their order: one symbol per line, a GMT (all its sets), or cBioPortal's format.

    Raises
    ------
    TableError
        When it cannot be read, is empty, or a line is not one symbol; it names the line.
    """
    path = Path(path)
    if path.suffix.lower() == ".gmt":
        return tuple(dict.fromkeys(gene for genes in read_gmt(path).values() for gene in genes))
    lines = bytes_of(path).decode("utf-8-sig", errors="replace").splitlines()
    stated = next((line for line in lines if line.startswith("gene_list:")), "")
    genes: dict[str, None] = dict.fromkeys(stated.partition(":")[2].split())
    for number, line in enumerate([] if stated else lines, start=1):
        gene = line.strip().strip('"')
        if gene.startswith("#") or not gene or (not genes and gene.lower() in _PANEL_HEADS):
            continue
        if re.search(r"[\s,;]", gene):
            raise TableError(f"{path.name}, line {number}: {gene[:40]!r} is not one gene symbol; write one per line.")
        genes[gene] = None
    if not genes:
        raise TableError(f"{path.name} holds no gene: give one symbol per line, or a GMT file.")
    return tuple(genes)


def read_samples(path: str | Path) -> tuple[str, ...]:
    """Return the names of a list of samples: cBioPortal's case list (cases_sequenced.txt), or one name per line.

    Raises
    ------
    TableError
        When it cannot be read or is empty.
    """
    path = Path(path)
    lines = bytes_of(path).decode("utf-8-sig", errors="replace").splitlines()
    stated = next((line for line in lines if line.startswith("case_list_ids:")), None)
    names = lines if stated is None else stated.partition(":")[2].split("\t")
    samples = tuple(dict.fromkeys(name.strip() for name in names if name.strip() and not name.startswith("#")))
    if not samples:
        raise TableError(f"{path.name} names no sample: give one per line, or cBioPortal's cases_sequenced.txt.")
    return samples
