import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_sets import hallmark, read_gmt


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
