import gzip
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.dna import KINDS, AlterationFiles, columns_of, read_alterations
from napari_pathlupi.molecular.matching import matching
from napari_pathlupi.molecular.panels import read_panel, read_samples

PANEL = ("TP53", "KRAS", "MYC")
A, B = "TCGA-AA-0001", "TCGA-BB-0002"


def write_maf(folder: Path, *rows: tuple[str, ...], header: str = "") -> str:
    """Rows are gene, class, sample and, where given, status."""
    header = header or "Hugo_Symbol\tChromosome\tVariant_Classification\tTumor_Sample_Barcode\tMutation_Status"
    lines = [f"{gene}\t1\t{kind}\t{sample}\t{''.join(status)}" for gene, kind, sample, *status in rows]
    path = folder / "data_mutations.txt"
    path.write_text("\n".join(["#version 2.4", header, *lines]) + "\n")
    return str(path)


def write_cna(folder: Path, samples: list[str], *rows: tuple[str, ...]) -> str:
    path = folder / "data_cna.txt"
    lines = ["\t".join(["Hugo_Symbol", "Entrez_Gene_Id", *samples])]
    path.write_text("\n".join(lines + ["\t".join([gene, "7", *cells]) for gene, *cells in rows]) + "\n")
    return str(path)


def altered(read, case: str) -> set[str]:
    row = read.table.loc[case]
    return set(row.index[row == 1])


def test_a_panel_of_239_genes_has_as_many_columns_as_the_paper():
    columns = columns_of([f"G{i}" for i in range(239)])
    assert len(columns) == len(set(columns)) == 1673


def test_the_columns_are_seven_per_gene_gene_by_gene():
    assert columns_of(PANEL)[7:14] == [f"KRAS {kind}" for kind in KINDS]
    assert KINDS[:4] == ("two-copy deletion", "loss", "gain", "amplification")


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("Missense_Mutation", "small coding"),
        ("In_Frame_Del", "small coding"),
        ("Nonsense_Mutation", "large coding"),
        ("Frame_Shift_Ins", "large coding"),
        ("Splice_Site", "large coding"),
        ("5'Flank", "non-coding"),
        ("Intron", "non-coding"),
    ],
)
def test_a_mutation_of_one_gene_sets_exactly_its_column(tmp_path, variant, kind):
    read = read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, ("KRAS", variant, f"{A}-01A-11D"))))
    assert altered(read, A) == {f"KRAS {kind}"}
    known = read.table.loc[A].notna()
    assert set(read.table.columns[known]) == {f"{gene} {kind}" for gene in PANEL for kind in KINDS[4:]}


@pytest.mark.parametrize("level", ["-2", "-1.5", "-1", "0", "1", "2", "2.0"])
def test_a_level_of_copy_number_sets_exactly_its_column(tmp_path, level):
    rows = [(gene, level if gene == "MYC" else "0") for gene in PANEL]
    read = read_alterations(PANEL, AlterationFiles(copy_number=write_cna(tmp_path, [f"{A}-01"], *rows)))
    kind = {-2: 0, -1.5: 0, -1: 1, 1: 2, 2: 3}.get(float(level))
    assert altered(read, A) == (set() if kind is None else {f"MYC {KINDS[kind]}"})
    assert read.table.loc[A].isna().sum() == 3 * len(PANEL)  # nothing is known of mutations


def test_silent_germline_and_foreign_rows_set_nothing_and_are_counted(tmp_path):
    rows = [
        ("TP53", "Silent", A),
        ("TP53", "Missense_Mutation", A, "Germline"),
        ("BRCA1", "Missense_Mutation", A),
        ("BRCA2", "Missense_Mutation", A),
        ("TP53", "Fusion", A),
        ("MYC", "Missense_Mutation", A, "SOMATIC"),
    ]
    read = read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, *rows)))
    assert altered(read, A) == {"MYC small coding"}
    said = " ".join(read.notes)
    assert "1 samples; 2 rows are of 2 other genes" in said
    assert "3 rows in genes of the panel were left out: 1 silent, 1 not somatic, 1 Fusion" in said
    assert "2 of 3 genes of the panel are mutated in no sample: TP53, KRAS" in said


def test_who_was_not_measured_is_unknown_and_never_unaltered(tmp_path):
    maf = write_maf(tmp_path, ("TP53", "Missense_Mutation", f"{A}-01"))
    cna = write_cna(tmp_path, [f"{B}-01"], ("TP53", "-1"), ("KRAS", "NA"))
    read = read_alterations(PANEL, AlterationFiles(maf, cna))
    assert read.table.loc[A, "TP53 loss"] != read.table.loc[A, "TP53 loss"]
    assert read.table.loc[B, "TP53 loss"] == 1
    assert np.isnan(read.table.loc[B, "TP53 small coding"])
    assert np.isnan(read.table.loc[B, "KRAS gain"]) and np.isnan(read.table.loc[B, "MYC gain"])
    assert "0 with mutations and copy number, 1 with mutations only, 1 with copy number only" in read.notes[-1]
    assert "copy number of 1 genes of the panel is unknown: MYC" in " ".join(read.notes)
    assert read.of(["nobody"]).isna().all(axis=None)


def test_who_was_sequenced_and_has_no_mutation_is_known_to_have_none(tmp_path):
    maf = write_maf(tmp_path, ("TP53", "Missense_Mutation", f"{A}-01"), ("TP53", "Silent", "OTHER"))
    listed = tmp_path / "cases_sequenced.txt"
    listed.write_text(f"stable_id: x_sequenced\ncase_list_ids: {A}-01\t{B}-01\n")
    assert read_samples(listed) == (f"{A}-01", f"{B}-01")
    read = read_alterations(PANEL, AlterationFiles(maf, sequenced=str(listed)))
    assert (read.table.loc[B, [f"{gene} large coding" for gene in PANEL]] == 0).all()
    assert "1 of 2 sequenced samples have no mutation" in " ".join(read.notes)
    assert "not listed as sequenced: OTHER" in " ".join(read.notes)


def test_aliquots_are_found_in_a_list_of_samples(tmp_path):
    maf = write_maf(tmp_path, ("TP53", "Missense_Mutation", f"{A}-01A-11D-A14Y-09"))
    listed = tmp_path / "cases_sequenced.txt"
    listed.write_text(f"{A}-01\n{B}-01\n")
    notes = " ".join(read_alterations(PANEL, AlterationFiles(maf, sequenced=str(listed))).notes)
    assert "1 of 2 sequenced samples have no mutation" in notes
    assert "not listed" not in notes and "several samples" not in notes


def test_the_primary_tumour_speaks_for_a_patient_and_normal_tissue_never(tmp_path):
    rows = [
        ("TP53", "Missense_Mutation", f"{A}-06A"),
        ("KRAS", "Missense_Mutation", f"{A}-01A"),
        ("MYC", "Missense_Mutation", f"{A}-01B"),
        ("MYC", "Missense_Mutation", f"{B}-11A"),
    ]
    read = read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, *rows)))
    assert read.cases == (A,)
    assert altered(read, A) == {"KRAS small coding", "MYC small coding"}
    assert "altered in any of them was taken: TCGA-AA-0001" in " ".join(read.notes)


def test_other_names_than_barcodes_stay_as_they_are(tmp_path):
    read = read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, ("TP53", "Intron", "P-0000004-T01"))))
    assert read.cases == ("P-0000004-T01",)


def test_samples_of_other_studies_become_patients_by_their_clinical_table(tmp_path):
    rows = [("TP53", "Intron", "S1"), ("MYC", "Intron", "S2"), ("KRAS", "Intron", "S3")]
    clinical = tmp_path / "data_clinical_sample.txt"
    head = "#Patient\tSample\n#x\tx\n#STRING\tSTRING\n#1\t1\nPATIENT_ID\tSAMPLE_ID\n"
    clinical.write_text(head + "P1\tS1\nP1\tS2\n")
    maf = write_maf(tmp_path, *rows)
    read = read_alterations(PANEL, AlterationFiles(maf, patients=str(clinical)))
    assert altered(read, "P1") == {"TP53 non-coding", "MYC non-coding"}
    assert read.cases == ("P1", "S3")
    assert "1 samples are no patient's and stand for themselves: S3" in " ".join(read.notes)
    clinical.write_text(head + "P1\tS1\nP2\tS1\n")
    with pytest.raises(TableError, match="line 7: S1 is of P2 here and of P1 above"):
        read_alterations(PANEL, AlterationFiles(maf, patients=str(clinical)))
    clinical.write_text("A\tSAMPLE_ID\nP1\tS1\n")
    with pytest.raises(TableError, match="needs the columns SAMPLE_ID and PATIENT_ID"):
        read_alterations(PANEL, AlterationFiles(maf, patients=str(clinical)))


def test_the_order_of_rows_and_samples_changes_nothing(tmp_path):
    rows = [(gene, kind, sample) for gene in PANEL for kind, sample in (("Intron", A), ("Nonsense_Mutation", B))]
    levels = {gene: {A: str(i - 1), B: "2"} for i, gene in enumerate(PANEL)}
    tables = []
    for step in (1, -1):
        samples = [A, B][::step]
        cna = write_cna(tmp_path, samples, *[(gene, *(levels[gene][s] for s in samples)) for gene in PANEL[::step]])
        tables.append(read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, *rows[::step]), cna)).of([A, B]))
    assert tables[0].equals(tables[1])


def test_of_several_rows_of_a_gene_the_level_furthest_from_0_counts(tmp_path):
    samples = [A, B]
    cna = write_cna(tmp_path, samples, ("MYC", "1", "NA"), ("MYC", "2", "-1"), ("MYC|x", "0", "0"))
    read = read_alterations(PANEL, AlterationFiles(copy_number=cna))
    assert altered(read, A) == {"MYC amplification"} and altered(read, B) == {"MYC loss"}
    assert "1 genes have several rows" in " ".join(read.notes)


def test_a_compressed_table_reads_the_same(tmp_path):
    maf = Path(write_maf(tmp_path, ("TP53", "Intron", A)))
    zipped = tmp_path / "maf.txt.gz"
    zipped.write_bytes(gzip.compress(maf.read_bytes()))
    plain, packed = (read_alterations(PANEL, AlterationFiles(str(path))).table for path in (maf, zipped))
    assert plain.equals(packed)


def test_quotation_marks_in_a_maf_swallow_nothing(tmp_path):
    rows = [('"TP53', "Intron", A), ("KRAS", "Intron", A), ('MYC"', "Intron", A)]
    read = read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, *rows)))
    assert altered(read, A) == {"KRAS non-coding"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("TP53", "Intron", A), ("TP53", "Intron", "")], "line 4: there is no Tumor_Sample_Barcode"),
        ([("TP53", "Intron\n", A)], "line 3: the row ends after 3 cells of 5"),
    ],
)
def test_a_broken_row_is_named_with_its_line(tmp_path, rows, words):
    with pytest.raises(TableError, match=words):
        read_alterations(PANEL, AlterationFiles(write_maf(tmp_path, *rows)))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("0.37", "0"), rf"line 2, {A}: '0.37' is no level of copy number"),
        (("0", "loss"), rf"line 2, {B}: 'loss' is no level"),
        (("0",), "line 2: the row ends after 3 cells of 4"),
    ],
)
def test_a_broken_copy_number_is_named_with_line_and_sample(tmp_path, cells, words):
    with pytest.raises(TableError, match=words):
        read_alterations(PANEL, AlterationFiles(copy_number=write_cna(tmp_path, [A, B], ("TP53", *cells))))


def test_tables_that_are_none_are_one_sentence(tmp_path):
    with pytest.raises(TableError, match="nothing to read"):
        read_alterations(PANEL, AlterationFiles())
    with pytest.raises(TableError, match="names 1 genes twice"):
        read_alterations(("A", "A"), AlterationFiles("x"))
    with pytest.raises(TableError, match="cannot read"):
        read_alterations(PANEL, AlterationFiles(str(tmp_path / "none.txt")))
    with pytest.raises(TableError, match="no column tumor_sample_barcode"):
        read_alterations(
            PANEL,
            AlterationFiles(
                write_maf(tmp_path, ("TP53", "Intron", A), header="Hugo_Symbol\tVariant_Classification\tA\tB\tC")
            ),
        )
    with pytest.raises(TableError, match="1 samples and 0 of the 3 genes"):
        read_alterations(PANEL, AlterationFiles(copy_number=write_cna(tmp_path, [A], ("BRCA1", "0"))))


def test_a_file_that_breaks_off_is_one_sentence(tmp_path):
    rows = [("TP53", "Intron", f"P{i}") for i in range(5000)]
    whole = gzip.compress(Path(write_maf(tmp_path, *rows)).read_bytes())
    cut = tmp_path / "cut.maf.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match="cannot read"):
        read_alterations(PANEL, AlterationFiles(str(cut)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("panel.txt", "\ufeffHugo_Symbol\nTP53\n\n# comment\nKRAS\nTP53\nMYC\n"),
        ("panel.gmt", "small\thttp://x\tTP53\tKRAS\nrest\t\tKRAS\tMYC\n"),
        ("data_gene_panel.txt", "stable_id: P3\ndescription: three genes\ngene_list: TP53\tKRAS\tMYC\n"),
    ],
)
def test_a_panel_is_read_as_people_have_it(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_panel(path) == PANEL


def test_a_panel_that_is_none_is_one_sentence(tmp_path):
    path = tmp_path / "panel.txt"
    path.write_text("TP53\nKRAS, MYC\n")
    with pytest.raises(TableError, match="line 2: 'KRAS, MYC' is not one gene"):
        read_panel(path)
    path.write_text("gene\n")
    with pytest.raises(TableError, match="holds no gene"):
        read_panel(path)
    path.write_text("case_list_ids:\n")
    with pytest.raises(TableError, match="names no sample"):
        read_samples(path)


def test_who_is_in_one_table_only_is_counted_both_ways():
    assert matching(["a", "b", "c"], ["b", "x"], "DNA") == (
        "1 of 3 cases have DNA; 2 have none (a, c); 1 cases with DNA are not among them (x)."
    )
    assert matching(["a"], ["a"], "RNA") == "1 of 1 cases have RNA."
