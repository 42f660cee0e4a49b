"""Mutations of a panel of genes, from a MAF."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.axes import some
from napari_pathlupi.molecular.rows import Rows, SampleTable

SMALL, LARGE, NON_CODING = "small coding", "large coding", "non-coding"
KINDS = (SMALL, LARGE, NON_CODING)
"""What Threads tells apart."""
VARIANT_CLASSES: Mapping[str, str] = {
    **dict.fromkeys(("missense_mutation", "in_frame_del", "in_frame_ins"), SMALL),
    **dict.fromkeys(
        ("nonsense_mutation", "frame_shift_del", "frame_shift_ins", "splice_site", "nonstop_mutation",
         "translation_start_site", "de_novo_start_inframe", "de_novo_start_outofframe"),
        LARGE,
    ),
    **dict.fromkeys(
        ("3'utr", "5'utr", "3'flank", "5'flank", "intron", "splice_region", "rna", "lincrna", "igr"), NON_CODING
    ),
    "silent": "silent",
}  # fmt: skip
"""Which of `KINDS` a ``Variant_Classification`` of a MAF, in small letters, belongs to.

The names are those of the GDC's MAF format 1.0.0 and cBioPortal's "File Formats"; the paper names the three kinds and
not what is in them, so the grouping is our choice: what changes or adds few amino acids; what ends, shifts or loses the
protein; what lies outside of it. Silent mutations belong to none."""
NOT_SOMATIC = frozenset(("germline", "loh", "none", "wildtype"))
"""Values of ``Mutation_Status`` of rows that are no somatic mutation: cBioPortal, "File Formats", Mutation Data."""


def read_mutations(path: str | Path, panel: Sequence[str]) -> SampleTable:
    """Return the mutations of a MAF (GDC, or cBioPortal's data_mutations.txt) in the genes of a panel.

    The kinds are `KINDS`. Each sample with any row counts as sequenced. Read row by row, in the memory of the result.

    Parameters
    ----------
    path
        With the columns Hugo_Symbol, Variant_Classification, Tumor_Sample_Barcode and perhaps Mutation_Status.
    panel
        Gene symbols.

    Raises
    ------
    TableError
        When it cannot be read, lacks a column, or a row is cut off or names no sample; it names the line.
    """
    table = Rows.of(path)
    place = {gene: i for i, gene in enumerate(panel)}
    found: dict[str, set[tuple[int, int]]] = {}
    outside, left_out = Counter[str](), Counter[str]()
    for sample, gene, variant in _somatic(table):
        altered = found.setdefault(sample, set())
        kind = VARIANT_CLASSES.get(variant.lower(), variant or "of no class")
        if gene in place and kind in KINDS:
            altered.add((place[gene], KINDS.index(kind)))
        elif gene in place:
            left_out[kind] += 1
        else:
            outside[gene] += 1
    set_at = [(i, *at) for i, altered in enumerate(found.values()) for at in altered]
    values = np.zeros((len(found), len(panel), len(KINDS)))
    values[tuple(np.array(set_at, dtype=int).reshape(-1, 3).T)] = 1.0
    notes = [f"{table.path.name}: {len(found)} samples; {outside.total()} rows are of {len(outside)} other genes."]
    if left_out:
        named = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common(8))
        notes.append(f"{left_out.total()} rows in genes of the panel were left out: {named}.")
    if never := [gene for i, gene in enumerate(panel) if not values[:, i].any()]:
        notes.append(f"{len(never)} of {len(panel)} genes of the panel are mutated in no sample: {some(never)}.")
    return SampleTable(tuple(found), values, tuple(notes))


def _somatic(table: Rows) -> Iterator[tuple[str, str, str]]:
    """Sample, gene and class of each row; the class of a row that is no somatic mutation is "not somatic"."""
    gene_at, class_at, sample_at = (
        table.column((name,)) for name in ("hugo_symbol", "variant_classification", "tumor_sample_barcode")
    )
    status_at = table.column(("mutation_status",), needed=False)
    for line, row in table.cells(1 + max(gene_at, class_at, sample_at, status_at)):
        sample = row[sample_at].strip()
        if not sample:
            raise TableError(f"{table.path.name}, line {line}: there is no Tumor_Sample_Barcode; each row needs one.")
        somatic = status_at < 0 or row[status_at].strip().lower() not in NOT_SOMATIC
        yield sample, row[gene_at].strip(), row[class_at].strip() if somatic else "not somatic"
