import gzip

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.core.tables import read_cells
from napari_pathlupi.errors import TableError

PLAIN = "case,slide,age\nA,a.svs,61.5\nB,b.svs,70\n"


def written(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PLAIN, "t.csv"),
        (PLAIN.encode("utf-8-sig"), "bom.csv"),
        (PLAIN.replace(",", "\t"), "t.tsv"),
        (PLAIN.replace(",", "\t").encode("utf-16"), "excel-unicode.txt"),
        (PLAIN.replace(",", ";").replace(".5", ",5").replace("\n", "\r\n"), "excel.csv"),
        ("sep=;\r\n" + PLAIN.replace(",", ";").replace(".5", ",5"), "sep.csv"),
        ("case ; slide;age;;\nA ; a.svs;61,5 ;;\nB;b.svs;70;;\n;;;;\n", "tail.csv"),
        ("# made by us\n# on Monday\n" + PLAIN, "comments.csv"),
        ("#case\tslide\tage\n" + PLAIN.partition("\n")[2].replace(",", "\t"), "hash.tsv"),
        (gzip.compress(PLAIN.encode(), mtime=0), "t.csv.gz"),
        (PLAIN + "B,b.svs,70\n", "repeated.csv"),
        (PLAIN.replace(",", "|").replace("\n", "\r"), "bars-of-a-mac.csv"),
    ],
)
def test_the_same_table_is_read_from_every_way_of_saving_it(tmp_path, content, name):
    cells = read_cells(written(tmp_path, content, name))
    assert [column.lstrip("#") for column in cells.frame.columns] == ["case", "slide", "age"]
    assert cells.frame["slide"].to_list() == ["a.svs", "b.svs"]
    assert cells.numbers("age").tolist() == [61.5, 70]


def test_a_parquet_table_is_read_like_its_text(tmp_path):
    frame = pd.DataFrame({"case": ["A", "B"], "slide": ["a", None], "age": [61.5, np.nan]})
    frame.to_parquet(tmp_path / "t.parquet")
    cells = read_cells(tmp_path / "t.parquet")
    assert cells.values("slide") == ["a", ""]
    np.testing.assert_array_equal(cells.numbers("age"), [61.5, np.nan])


def test_a_windows_table_keeps_its_umlauts(tmp_path):
    assert read_cells(written(tmp_path, "case;Köln\nA;Ä\n".encode("cp1252"))).frame["Köln"].to_list() == ["Ä"]


@pytest.mark.parametrize("word", ["NA", "n/a", "#N/A", "nan", "", "-", "unknown", "[Not Available]"])
def test_words_for_nothing_are_nothing(tmp_path, word):
    cells = read_cells(written(tmp_path, f"case,x\nA,{word}\nB,1\n"))
    np.testing.assert_array_equal(cells.numbers("x"), [np.nan, 1])


def test_minus_is_a_value_beside_plus(tmp_path):
    assert read_cells(written(tmp_path, "case,er\nA,+\nB,-\nC,NA\n")).values("er") == ["+", "-", ""]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("case;x\nA;1\n\nB;x1\n", "line 4, column x: 'x1' is no number"),
        ("case;x\nA;1.5\nB;1,5\n", "line 3, column x: '1,5' may have a comma"),
        ('case,x\nA,"1,500"\n', "line 2, column x: '1,500' may have a comma"),
        ("case;x\nA;1.234,5\n", "line 2, column x: '1.234,5' is no number"),
        ("case;x\nA;#DIV/0!\n", "line 2, column x"),
    ],
)
def test_a_cell_that_is_no_number_is_named_by_line_and_column(tmp_path, content, words):
    with pytest.raises(TableError, match=words):
        read_cells(written(tmp_path, content)).numbers("x")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("", "t.csv", "empty"),
        ("a,b\n", "t.csv", "no rows"),
        (b"\x00\x01\x02" * 50, "t.csv", "no text"),
        ("a,b\n1,2,3\n", "t.csv", "line 2: 3 cells under a header of 2"),
        ("a,b", "t.xlsx", "spreadsheet"),
        ('a,b\n"1,2\n3,4\n', "t.csv", "line 3: .* a quotation mark is not closed"),
        (b"nonsense", "t.parquet", "cannot read"),
        (b"nonsense", "t.csv.gz", "cannot read"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, content, name, words):
    with pytest.raises(TableError, match=words):
        read_cells(written(tmp_path, content, name))


def test_a_missing_file_or_column_is_one_sentence(tmp_path):
    with pytest.raises(TableError, match="cannot read"):
        read_cells(tmp_path / "none.csv")
    with pytest.raises(TableError, match="no column 'grade' for the grade: it has case, slide, age"):
        read_cells(written(tmp_path, PLAIN)).find("grade", (), "the grade")


def test_names_of_columns_are_found_as_people_write_them(tmp_path):
    cells = read_cells(written(tmp_path, '"Case ID","Overall\nSurvival (months)"\nA,1\n'))
    assert cells.find("", ("case_id",), "the case") == "Case ID"
    assert cells.find("overall_survival_(months)", (), "the time") == "Overall Survival (months)"
    assert cells.frame.index.to_list() == [3]


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_table_that_is_not_there_is_named_once(tmp_path, name):
    with pytest.raises(TableError) as caught:
        read_cells(tmp_path / name)
    assert str(caught.value).count(name) == 1 and "Errno" not in str(caught.value)
