"""Mutations and copy number of cases over a panel of genes, as one multi-hot table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from napari_pathlupi.core.cohort import case_of
from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular import copy_number, mutations
from napari_pathlupi.molecular.axes import of_patients, some
from napari_pathlupi.molecular.panels import read_owners, read_samples
from napari_pathlupi.molecular.rows import SampleTable

KINDS = (*copy_number.KINDS, *mutations.KINDS)
"""Order of the columns of a gene: Threads' four states of copy number and three classes of variants; that the states
come first, and genes one after the other, is our choice."""


@dataclass(frozen=True, slots=True)
class AlterationFiles:
    """Where alterations are read from.

    Parameters
    ----------
    mutations
        A MAF: the GDC's, or cBioPortal's data_mutations.txt; "" for none.
    copy_number
        Genes × samples in levels: cBioPortal's data_cna.txt; "" for none.
    sequenced
        List of the samples that were sequenced (cBioPortal's case_lists/cases_sequenced.txt), so that those without any
        mutation are known to have none; "" for none, then they are unknown.
    patients
        Table of the samples of each patient (cBioPortal's data_clinical_sample.txt: SAMPLE_ID, PATIENT_ID), where the
        names of samples are no barcodes of TCGA; "" for none, then each sample is a case.
    """

    mutations: str = ""
    copy_number: str = ""
    sequenced: str = ""
    patients: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Alterations:
    """What is altered in each case.

    Parameters
    ----------
    table
        Cases × (genes × 7): 1 altered, 0 not, NaN unknown. Columns are "TP53 loss", gene by gene in the order of the
        panel, for each gene in the order of `KINDS`.
    panel
        Gene symbols.
    notes
        What was done and left out, a sentence each.
    """

    table: pd.DataFrame
    panel: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """Of whom anything is known."""
        return tuple(self.table.index)

    def of(self, cases: Sequence[str]) -> pd.DataFrame:
        """Return the rows of these cases, NaN for one of whom nothing is known."""
        return self.table.reindex(list(cases))


def columns_of(panel: Sequence[str]) -> list[str]:
    """Return the names of the columns of a panel, seven per gene."""
    return [f"{gene} {kind}" for gene in panel for kind in KINDS]


def read_alterations(panel: Sequence[str], files: AlterationFiles) -> Alterations:
    """Return mutations and copy number of cases over the genes of a panel.

    TCGA barcodes become patients as in `napari_pathlupi.molecular.tables`: of several samples of one the primary tumour
    (01) is taken, else the tumour of the lowest code, never normal tissue; what is altered in any of several such
    samples, or of all samples where a table says whose they are, is altered (our choice).

    Raises
    ------
    TableError
        When neither file is given, the panel names a gene twice, or a file cannot be used.
    """
    if not files.mutations and not files.copy_number:
        raise TableError("there is nothing to read alterations from: give a MAF, a table of copy numbers, or both.")
    if len(set(panel)) < len(panel):
        raise TableError(f"the panel names {len(panel) - len(set(panel))} genes twice: name each once.")
    notes: list[str] = []
    copies = copy_number.read_copy_number(files.copy_number, panel) if files.copy_number else None
    mutated = _sequenced(mutations.read_mutations(files.mutations, panel), files, notes) if files.mutations else None
    owners = read_owners(files.patients) if files.patients else {}
    tables = [
        _by_case(table, len(panel) * len(kinds), owners, notes)
        for table, kinds in ((copies, copy_number.KINDS), (mutated, mutations.KINDS))
    ]
    cases = list(dict.fromkeys(case for table in tables for case in table.index))
    parts = [table.reindex(cases).to_numpy().reshape(len(cases), len(panel), -1) for table in tables]
    values = np.concatenate(parts, axis=2).reshape(len(cases), -1)
    both = len(set(tables[0].index) & set(tables[1].index))
    notes.append(
        f"{len(cases)} cases × {len(panel)} genes: {both} with mutations and copy number, "
        f"{len(tables[1]) - both} with mutations only, {len(tables[0]) - both} with copy number only."
    )
    return Alterations(
        pd.DataFrame(values, pd.Index(cases, name="case"), columns_of(panel)), tuple(panel), tuple(notes)
    )


def _sequenced(table: SampleTable, files: AlterationFiles, notes: list[str]) -> SampleTable:
    """The mutations, with a row of zeros for each sample that was sequenced and has none."""
    if not files.sequenced:
        return table
    listed = read_samples(files.sequenced)
    known, sequenced = set(map(_sample, table.samples)), set(map(_sample, listed))
    clean = tuple(sample for sample in listed if _sample(sample) not in known)
    unlisted = sorted(known - sequenced)
    notes.append(f"{len(clean)} of {len(listed)} sequenced samples have no mutation at all.")
    if unlisted:
        notes.append(f"{len(unlisted)} samples with mutations are not listed as sequenced: {some(unlisted)}.")
    values = np.concatenate([table.values, np.zeros((len(clean), *table.values.shape[1:]))])
    return SampleTable((*table.samples, *clean), values, table.notes)


def _sample(name: str) -> str:
    """The sample that a TCGA barcode of one of its parts names: the GDC lists aliquots, cBioPortal samples."""
    return name if case_of(name) == name else name[:15].upper().replace(".", "-")


def _by_case(table: SampleTable | None, columns: int, owners: Mapping[str, str], notes: list[str]) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame(np.empty((0, columns)))
    notes.extend(table.notes)
    if owners and (nobodys := [sample for sample in table.samples if sample not in owners]):
        notes.append(f"{len(nobodys)} samples are no patient's and stand for themselves: {some(nobodys)}.")
    samples = [owners.get(sample, sample) for sample in table.samples]
    cases, values = of_patients(samples, table.values.reshape(-1, columns), notes)
    frame = pd.DataFrame(values, index=cases)
    if twice := list(frame.index[frame.index.duplicated()].unique()):
        notes.append(
            f"{len(twice)} cases have several samples, what is altered in any of them was taken: {some(twice)}."
        )
    return frame.groupby(level=0, sort=False).max()
