import gzip

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.molecular.tables import ReadingOptions, read_expression

GENES = sorted({gene for genes in hallmark().values() for gene in genes})[:40]


@pytest.fixture
def tpm():
    values = np.random.default_rng(0).lognormal(2, 2, (12, len(GENES))).round(3)
    return pd.DataFrame(values, index=pd.Index([f"P{i}" for i in range(12)], name="case_id"), columns=GENES)


@pytest.fixture
def read(tmp_path):
    def reader(table, name="rna.csv", **options):
        path = tmp_path / name
        if isinstance(table, bytes):
            path.write_bytes(table)
        elif name.endswith("parquet"):
            table.to_parquet(path)
        else:
            path.write_text(table if isinstance(table, str) else table.to_csv(), encoding="utf-8")
        return read_expression(path, ReadingOptions(**options))

    return reader


def test_either_direction_and_every_file_gives_the_same_table(tpm, read):
    wanted = read(tpm, unit="TPM").table
    np.testing.assert_allclose(wanted, np.log2(tpm + 1))
    excel = "\ufeff" + tpm.to_csv(sep=";", decimal=",", lineterminator=" ;\r\n")
    for table, name in (
        (tpm.T, "turned.csv"),
        (tpm.to_csv(sep="\t"), "rna.tsv"),
        (gzip.compress(tpm.to_csv().encode()), "rna.csv.gz"),
        (tpm, "rna.parquet"),
        (tpm.T.rename_axis("Name").reset_index(), "turned.parquet"),
        (excel, "excel.csv"),
        (tpm.to_csv(sep="\t").encode("utf-16"), "unicode.txt"),
        (tpm.T.rename_axis(None).to_csv(sep="\t").removeprefix("\t"), "from-r.tsv"),
        (tpm.reset_index().to_csv(), "with-index.csv"),
        ("#1.2\n40\t12\n" + tpm.T.rename_axis("Name").assign(Description="na").pipe(
            lambda t: t[["Description", *t.columns[:-1]]]).to_csv(sep="\t"), "rna.gct"),
    ):  # fmt: skip
        pd.testing.assert_frame_equal(read(table, name, unit="TPM").table, wanted, check_names=False, obj=name)


def test_units_come_to_one_and_are_recognised_by_what_only_they_can_be(tpm, read):
    log2 = np.log2(tpm + 1)
    zero = tpm.copy()
    zero.iloc[0, 0] = 0
    xena = read(np.log2(zero + 0.001).round(4))
    assert (xena.read_as.unit, xena.unit) == ("log2(TPM+0.001)", "log2(TPM+1)")
    assert "log2 of 0.001" in xena.read_as.reason
    np.testing.assert_allclose(xena.table.iloc[1:], log2.iloc[1:], atol=2e-3)
    counts = read((tpm * 10).round())
    assert (counts.read_as.unit, counts.unit) == ("counts", "log2(CPM+1)")
    np.testing.assert_allclose((np.exp2(counts.table) - 1).sum(axis=1), 1e6)
    assert read((log2 - log2.mean()) / log2.std()).read_as.unit == "z-score"
    assert read(log2, unit="log2(TPM+1)").table.equals(read(log2, unit="log2(x+1)").table)


def test_a_whole_transcriptome_shows_whether_it_is_tpm(read):
    values = np.random.default_rng(1).lognormal(1, 2, (3, 6000))
    tpm = pd.DataFrame(
        1e6 * values / values.sum(axis=1, keepdims=True), columns=[*GENES, *(f"G{i}" for i in range(5960))]
    )
    tpm.index = ["a", "b", "c"]
    plain, log2 = read(tpm), read(np.log2(tpm + 1))
    assert (plain.read_as.unit, log2.read_as.unit) == ("TPM", "log2(TPM+1)")
    np.testing.assert_allclose(plain.table, log2.table)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: np.log2(t + 1), {}, r"unit of rna.csv is not clear \(.*log2\(TPM\+1\) or another log2\(x\+1\)"),
        (lambda t: t, {}, "TPM or another unit without logarithm"),
        (lambda t: np.log2(t + 0.5), {}, "do not lie about 0"),
        (lambda t: -t, {"unit": "TPM"}, "nothing below 0 can be"),
        (lambda t: t, {"unit": "log2(TPM+1)"}, "no logarithm"),
        (lambda t: t, {"unit": "rpkm"}, "'rpkm' is not possible"),
        (lambda t: t.rename(columns=lambda gene: gene + "x"), {"unit": "TPM"}, 'genes_in = "rows" or "columns"'),
    ],
)
def test_what_is_not_clear_is_asked_for(tpm, read, change, options, words):
    with pytest.raises(TableError, match=words):
        read(change(tpm), **options)


def test_a_cell_that_is_no_number_is_named_and_one_without_a_value_is_missing(tpm, read):
    table = tpm.astype(object)
    table.iloc[4, 2], table.iloc[5, 3], table.iloc[6, 3] = "NA ", "n/a", np.inf
    expression = read(table, unit="TPM")
    assert expression.table.isna().sum().sum() == 3
    assert any("1 infinite values" in note for note in expression.notes)
    assert any("3 values are missing" in note for note in expression.notes)
    table.iloc[4, 2] = "12.5*"
    with pytest.raises(TableError, match=rf"line 6, column {GENES[2]}: '12\.5\*' is no number"):
        read(table, unit="TPM")


def test_ensembl_ids_become_symbols_and_the_stronger_of_two_is_kept(tpm, read, tmp_path):
    ids = {gene: f"ENSG{i:011d}.{i % 5 + 1}" for i, gene in enumerate(GENES)}
    table = tpm.rename(columns=ids)
    table["ENSG99999999999.1"] = tpm[GENES[0]] * 2
    table["ENSG88888888888.1"] = 1.0
    with pytest.raises(TableError, match=r"41|42 genes by Ensembl ids .*: give a probe map"):
        read(table, unit="TPM")
    rows = [f"{name.partition('.')[0]}\t{gene}" for gene, name in ids.items()]
    (tmp_path / "probes.tsv").write_text("id\tgene\n" + "\n".join([*rows, f"ENSG99999999999.1\t{GENES[0]}"]) + "\n")
    expression = read(table, unit="TPM", probe_map=str(tmp_path / "probes.tsv"))
    assert set(expression.genes) == set(GENES)
    np.testing.assert_allclose(expression.table[GENES[0]], np.log2(2 * tpm[GENES[0]] + 1))
    assert any("42 Ensembl ids became symbols; 1 are not in the probe map" in note for note in expression.notes)
    assert any("the one with the highest mean" in note for note in expression.notes)


def test_of_the_samples_of_a_patient_the_primary_tumour_is_taken_and_normal_tissue_never(tpm, read):
    kinds = ["01A", "11A", "06A", "01B", "11A", "02A"]
    patients = ["AAAA", "AAAA", "AAAA", "BBBB", "CCCC", "DDDD"]
    names = [f"TCGA-3C-{patient}-{kind}-11R-A37I-31" for patient, kind in zip(patients, kinds, strict=True)]
    table = tpm.iloc[:6].set_axis(pd.Index(names, name="sample"))
    from_r = table.set_axis([name.replace("-", ".") for name in names])
    assert read(from_r.T, unit="TPM").cases == read(table, unit="TPM").cases
    expression = read(table, unit="TPM")
    assert expression.cases == ("TCGA-3C-AAAA", "TCGA-3C-BBBB", "TCGA-3C-DDDD")
    np.testing.assert_allclose(expression.table.iloc[0], np.log2(tpm.iloc[0] + 1))
    assert any("2 samples of normal tissue" in note for note in expression.notes)
    assert any("1 further tumour samples" in note for note in expression.notes)


def test_rows_of_one_case_are_averaged_or_refused_as_asked(tpm, read):
    table = pd.concat([tpm, tpm.iloc[:1], tpm.iloc[1:2] + 1])
    expression = read(table, unit="TPM")
    assert len(expression.table) == 12
    np.testing.assert_allclose(
        expression.table.loc["P1"], (np.log2(tpm.loc["P1"] + 1) + np.log2(tpm.loc["P1"] + 2)) / 2
    )
    assert any("1 rows repeat another" in note for note in expression.notes)
    assert any("1 cases have several different rows, the mean" in note for note in expression.notes)
    np.testing.assert_allclose(read(table, unit="TPM", duplicates="first").table, np.log2(tpm + 1))
    with pytest.raises(TableError, match=r"several different rows in rna\.csv: P1"):
        read(table, unit="TPM", duplicates="refuse")


def test_columns_that_are_no_genes_are_left_out_and_said(tpm, read):
    table = tpm.add_suffix("_rnaseq").assign(age=50, site="X", survival_months=1.5)
    table[f"{GENES[0]}_cnv"], table[f"{GENES[1]}_mut"] = -2, 1
    for given in (table, tpm.assign(age=50, site="X", survival_months=1.5, OS=3)):
        expression = read(given, unit="TPM")
        assert expression.genes == tuple(GENES)
        assert any("are no genes and were left out: age" in note for note in expression.notes)
        assert any("hold no expression were left out: site" in note for note in expression.notes)


def test_genes_that_a_spreadsheet_made_dates_and_constant_ones_are_reported(tpm, read):
    table = tpm.rename(columns={GENES[0]: "1-Mar", GENES[1]: "Sep-02", GENES[2]: "2023-09-01"})
    table[GENES[3]], table[GENES[4]] = 7.0, np.nan
    expression = read(table, unit="TPM")
    assert len(expression.genes) == len(GENES) - 4
    assert any("3 names of genes were turned to dates" in note for note in expression.notes)
    assert any("1 genes without any value" in note for note in expression.notes)
    assert expression.constant == (GENES[3],)


@pytest.mark.parametrize(
    ("content", "words"),
    [("a,b\n1,2\n3,4\n", "no column of names"), ("case_id,site\nP1,X\n", "holds no numbers"), ("", "empty")],
)
def test_a_table_without_expression_is_one_sentence(read, content, words):
    with pytest.raises(TableError, match=words):
        read(content)


def test_cases_that_were_not_measured_are_rows_of_nothing(tpm, read):
    rows = read(tpm, unit="TPM").of(["P3", "nobody"])
    assert rows.loc["P3"].notna().all()
    assert rows.loc["nobody"].isna().all()


def test_the_real_tables_load_with_one_call_each(shared_data):
    brca = read_expression(shared_data / "rna/tcga_brca_rna_zscores.csv.gz")
    assert (brca.table.shape, brca.unit) == ((956, 1558), "z-score")
    assert float(brca.table.abs().max().max()) == 10
    assert any("36893" in note and "FGF4" in note for note in brca.notes)
    coadread = read_expression(shared_data / "rna/tcga_coadread_rna_log2tpm.csv.gz")
    assert (coadread.table.shape, coadread.unit, coadread.constant) == ((317, 1577), "log2(TPM+1)", ("VAMP7",))
    assert any("3 cases have several different rows, the mean" in note for note in coadread.notes)
    assert float(coadread.table.min().min()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("names", [["1", "2", "3b"], ["1", "2", "3"], ["", "2", "x"]])
def test_cases_may_be_numbers_and_nameless_rows_are_left_out(read, names):
    expression = read(
        "case_id,site,TP53,MYC\n" + "".join(f"{name},A,{i},2\n" for i, name in enumerate(names)), unit="TPM"
    )
    assert expression.cases == tuple(filter(None, names))
    assert any("1 rows without a name" in note for note in expression.notes) == ("" in names)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("case_id;TP53;MYC\nA;1.234,5;2\nB;2,5;3\n", r"line 2, column TP53: '1\.234,5' is no number"),
        ("case_id;TP53;MYC\n" + "A;1,5;2\n" * 8 + "B;2.5;3\n", r"line 10, column TP53: '2\.5' is no number"),
        ("case_id;TP53;MYC\nA;1,5;2\nB;2.5;3\n", r"holds '1,5' and '2\.5'"),
        ("case_id,TP53,MYC\nA,1.5,1,9\nB,2.5,2\n", "a row has 4 cells, the header 3"),
        ("case_id,TP53,MYC\nA,,\nB,NA,NA\n", "holds no number"),
        ("gene\n", "no rows"),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_refused(read, content, words):
    with pytest.raises(TableError, match=words):
        read(content, unit="TPM")


def test_a_table_of_cbioportal_is_read_with_its_nameless_genes_left_out(tpm, read):
    table = tpm.T.rename_axis("Hugo_Symbol").set_axis([f"TCGA-3C-AAA{i:X}-01" for i in range(12)], axis=1)
    table.insert(0, "Entrez_Gene_Id", range(100, 140))
    text = table.to_csv(sep="\t").replace(f"\n{GENES[3]}\t", "\n\t")
    expression = read(text, "data_mrna_seq_v2_rsem.txt", unit="TPM")
    assert expression.genes == tuple(gene for gene in GENES if gene != GENES[3])
    assert expression.cases[:2] == ("TCGA-3C-AAA0", "TCGA-3C-AAA1")
    assert any("left out: Entrez_Gene_Id" in note for note in expression.notes)
