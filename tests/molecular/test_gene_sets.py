import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import hallmark, measured_sets, read_gene_sets, read_gmt


def test_the_hallmark_sets_are_fifty_and_packaged():
    sets = hallmark()
    assert len(sets) == 50
    assert all(name.startswith("HALLMARK_") and 30 < len(genes) <= 200 for name, genes in sets.items())
    assert {"MKI67", "TOP2A"} <= set(sets["HALLMARK_G2M_CHECKPOINT"])


def test_reads_sets_in_their_order_and_counts_a_gene_once(tmp_path):
    file = tmp_path / "sets.gmt"
    file.write_text("B\thttp://b\tG1\tG2\tG1\t\n\nA\t\tG3\n")
    assert dict(read_gmt(file)) == {"B": ("G1", "G2"), "A": ("G3",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no gene set"),
        ("only a name\n", "line 1"),
        ("A\tx\tG1\nB x G2\n", "line 2"),
        ("A\tx\tG1\nA\tx\tG2\n", "twice"),
        (b"\xff\xfe\x00A", "cannot read"),
    ],
)
def test_a_file_that_is_no_gmt_is_one_sentence(tmp_path, text, words):
    file = tmp_path / "sets.gmt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError, match=words):
        read_gmt(file)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(TableError, match="cannot read"):
        read_gmt(tmp_path / "none.gmt")


def test_columns_of_unequal_length_are_sets(tmp_path):
    file = tmp_path / "signatures.csv"
    file.write_text("\ufeffKinases;Cytokines\nG1;G4 \nG2;\nG2;NA\n;\n", encoding="utf-8")
    assert dict(read_gene_sets(file)) == {"Kinases": ("G1", "G2"), "Cytokines": ("G4",)}


def test_compositions_and_gene_lists_are_sets(tmp_path):
    (tmp_path / "comps.csv").write_text("gene,A,B,C\nG1,1,0,0\nG2,1.0,1,0\n")
    assert dict(read_gene_sets(tmp_path / "comps.csv")) == {"A": ("G1", "G2"), "B": ("G2",)}
    (tmp_path / "panel.csv").write_text("symbol,note\nG1,x\nG2,y\n")
    assert dict(read_gene_sets(tmp_path / "panel.csv")) == {"panel": ("G1", "G2")}


def test_a_table_that_holds_no_sets_is_one_sentence(tmp_path):
    (tmp_path / "t.csv").write_text("case_id,age\nP1,5\nP2,6\n")
    with pytest.raises(TableError, match="column age: numbers are no genes"):
        read_gene_sets(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("A,A\nG1,G2\n")
    with pytest.raises(TableError, match="the gene set A is there twice"):
        read_gene_sets(tmp_path / "t.csv")


def test_sets_with_too_few_measured_genes_are_counted():
    kept, too_few = measured_sets({"A": ["G1", "G2", "G1"], "B": ["G2", "G9"]}, ["G1", "G2"], at_least=2)
    assert (dict(kept), too_few) == ({"A": ("G1", "G2")}, {"B": 1})
    with pytest.raises(TableError, match="none of the 1 gene sets has 5"):
        measured_sets({"A": ["G1"]}, ["G1"])


def test_the_real_files_load_with_one_call_each(shared_data):
    folder = shared_data / "genesets"
    assert len(read_gene_sets(folder / "h.all.v7.0.symbols.gmt")) == 50
    survpath = read_gene_sets(folder / "combine_signatures_survpath.csv")
    assert len(survpath) == 331
    mcat = read_gene_sets(folder / "signatures_mcat.csv")
    assert list(mcat) == [
        *("Tumor Suppressor Genes", "Oncogenes", "Protein Kinases", "Cell Differentiation Markers"),
        *("Transcription Factors", "Cytokines and Growth Factors"),
    ]
    assert len(mcat["Transcription Factors"]) > 1000
    for name in ("pam50_model_genefu", "pam50_centroids_matrix"):
        (genes,) = read_gene_sets(folder / f"{name}.csv").values()
        assert len(genes) == 50
        assert "ESR1" in genes
