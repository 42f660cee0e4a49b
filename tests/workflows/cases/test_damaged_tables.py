"""Tables that somebody's editor, disk or export has damaged end in a sentence, whatever is in them."""

import random

import pytest

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.molecular.gene_sets import read_gene_sets
from napari_pathlupi.molecular.tables import ReadingOptions, read_expression
from napari_pathlupi.workflows.cases.cohort_table import read_cohort
from napari_pathlupi.workflows.cases.split import SplitPlan, split
from napari_pathlupi.workflows.cases.split_file import read_split

COHORT = (
    b"case_id;slide_id;label;months;died;site;fold_0\nP1;a;x;12,5;1;B;train\nP1;b;x;12,5;1;B;train\n"
    b"P2;c;y;3,5;0;C;test\nP3;;NA;7;0;C;val\n"
)
EXPRESSION = (
    b"gene,TCGA-3C-AAAA-01A,TCGA-3C-AAAB-01A,TCGA-3C-AAAC-11A\nTP53,1.5,2.5,3\nMYC,10,2000,3\nEGFR,1,,5\n1-Mar,2,3,4\n"
)
SETS = b"A,B\nTP53,MYC\nEGFR,\n"
PIECES = [
    *(b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"NA", b"-", b"#", b"inf"),
    *(b"1e999", b" ", b"fold", b"TCGA", b"1,5", b"0.5", b"sep=;\n"),
]
ENDPOINTS = [
    Endpoint.classification("label"),
    Endpoint.survival("months", event="died"),
    Endpoint.regression("months"),
    Endpoint.multilabel(["died"]),
]


def damaged(content, dice):
    data = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        kind, place = dice.random(), dice.randrange(len(data) + 1)
        if kind < 0.4:
            data[place:place] = dice.choice(PIECES)
        elif kind < 0.6:
            del data[place : place + dice.randint(1, 12)]
        elif kind < 0.8:
            lines = bytes(data).split(b"\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
            data = bytearray(b"\n".join(lines))
        else:
            del data[place:]
        data = data or bytearray(b"\n")
    return bytes(data)


def read_everything(path, kind, dice):
    if kind == "cohort":
        cohort = read_cohort(path, dice.choice(ENDPOINTS))
        assert len(set(cohort.names)) == len(cohort) > 0
        split(cohort, SplitPlan(folds=2, validation=0.0))
    elif kind == "expression":
        expression = read_expression(path, ReadingOptions(unit=dice.choice(["", "TPM", "z-score", "counts"])))
        assert expression.table.index.is_unique
        assert expression.table.columns.is_unique
    elif kind == "sets":
        assert read_gene_sets(path)
    else:
        whole = path.with_name("cohort.csv")
        whole.write_bytes(COHORT)
        read_split(path, read_cohort(whole, ENDPOINTS[0]))


@pytest.mark.parametrize(
    ("kind", "content"),
    [("cohort", COHORT), ("expression", EXPRESSION), ("sets", SETS), ("split", COHORT)],
    ids=["cohort", "expression", "sets", "split"],
)
def test_a_damaged_table_is_read_or_refused_in_a_sentence(tmp_path, kind, content):
    dice, read = random.Random(kind), 0
    for _ in range(100):
        (tmp_path / "t.csv").write_bytes(damaged(content, dice))
        try:
            read_everything(tmp_path / "t.csv", kind, dice)
            read += 1
        except PathlupiError as error:
            assert str(error).endswith(".")
    assert 0 < read < 100
