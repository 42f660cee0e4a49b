"""Which genes a panel holds, which samples were sequenced, and whose they are."""

import re
from pathlib import Path

from napari_pathlupi.core.tables import bytes_of, read_cells
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


def read_owners(path: str | Path) -> dict[str, str]:
    """Return the patient of each sample: cBioPortal's data_clinical_sample.txt, or any table with both columns.

    Raises
    ------
    TableError
        When it cannot be read, lacks a column, or gives a sample to two patients; it names the line.
    """
    cells = read_cells(path)
    found = [
        cells.find("", (f"{what}_id", what, f"{what}_identifier"), f"the {what}") for what in ("sample", "patient")
    ]
    if not all(found):
        there = ", ".join(map(str, cells.frame.columns))
        raise TableError(f"{cells.name} needs the columns SAMPLE_ID and PATIENT_ID: it has {there}.")
    owners: dict[str, str] = {}
    for line, sample, patient in zip(cells.frame.index, *map(cells.values, found), strict=True):
        if sample and patient and owners.setdefault(sample, patient) != patient:
            raise TableError(f"{cells.name}, line {line}: {sample} is of {patient} here and of {owners[sample]} above.")
    return owners
