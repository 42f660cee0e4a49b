import numpy as np
import pytest

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import TableError
from napari_pathlupi.workflows.cases.cohort_table import CohortColumns, find_slides, read_cohort

SUBTYPE = Endpoint.classification("subtype")
EXCEL = (
    "\ufeffcase_id ;slide_id;subtype;Time (months);Censorship;Site\r\n"
    "P1;p1-a.svs;Basal ;12,5;0;Bonn\r\nP1;p1-b.svs;;12,5;0;Bonn\r\nP2;p2.svs;LumA;30,25;1;Bonn\r\n"
    "P3;p3.svs;NA;7;0;Köln\r\nP3;p3.svs;NA;7;0;Köln\r\nP4;;Basal;;NA;Köln\r\n;;;;;\r\n"
)


@pytest.fixture
def write(tmp_path):
    def writer(content, name="cohort.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        return tmp_path / name

    return writer


def test_a_table_from_excel_becomes_cases_with_their_slides(write):
    cohort = read_cohort(write(EXCEL), SUBTYPE)
    assert cohort.names == ("P1", "P2", "P3", "P4")
    assert [case.slides for case in cohort.cases] == [("p1-a.svs", "p1-b.svs"), ("p2.svs",), ("p3.svs",), ()]
    assert cohort.endpoint.classes == ("Basal", "LumA")
    np.testing.assert_array_equal(cohort.wanted[:, 0], [0, 1, np.nan, 0])
    assert [case.site for case in cohort.cases] == ["Bonn", "Bonn", "Köln", "Köln"]
    assert "5 rows, 4 cases with 4 slides (1 with several), 3 labelled, 1 not, 2 sites" in cohort.notes[0]
    assert any("1 rows that are there twice" in note for note in cohort.notes)
    bare = read_cohort(write("case_id,subtype\nP1,Basal\nP2,LumA\n"), SUBTYPE)
    assert "2 rows, 2 cases, 2 labelled" in bare.notes[0]


def test_what_one_means_in_the_outcome_is_stated_and_never_guessed(write):
    table = write(EXCEL)
    censored = read_cohort(table, Endpoint.survival("Time (months)", censorship="Censorship"))
    np.testing.assert_array_equal(censored.wanted, [[12.5, 1], [30.25, 0], [7, 1], [np.nan, np.nan]])
    died = read_cohort(write(EXCEL.replace("Censorship", "died")), Endpoint.survival("Time (months)", event="died"))
    np.testing.assert_array_equal(died.wanted[:3, 1], 1 - censored.wanted[:3, 1])
    assert censored.endpoint.unit == "months"
    assert any(
        "a 1 is a censored case, as stated: 2 of 3 cases with a time have the event" in note for note in censored.notes
    )
    with pytest.raises(TableError, match="what a 1 in the column of outcomes means"):
        Endpoint.survival("time")
    with pytest.raises(TableError, match="named for the opposite"):
        Endpoint.survival("months", event="Censorship")
    with pytest.raises(TableError, match="no unit"):
        Endpoint.survival("time", event="died")


@pytest.mark.parametrize("words", [("1:DECEASED", "0:LIVING"), ("Dead", "Alive"), ("1.0", "0.0")])
def test_words_of_outcomes_are_understood(write, words):
    table = write(f"case,days,status\nA,10,{words[0]}\nB,20,{words[1]}\nC,0,{words[0]}\nD,-1,{words[0]}\nE,3,\n")
    cohort = read_cohort(table, Endpoint.survival("days", event="status"))
    np.testing.assert_array_equal(cohort.wanted, [[10, 1], [20, 0], *[[np.nan, np.nan]] * 3])
    assert any("2 rows with a time of 0 or less" in note and "line 4" in note for note in cohort.notes)


def test_labels_of_yes_and_no_and_values_keep_what_is_unknown(write):
    table = write("case,tp53,er,age\nA,mutated,+,50\nB,WT,-,\nC,,NA,61\n")
    several = read_cohort(table, Endpoint.multilabel(["tp53", "er"]))
    np.testing.assert_array_equal(several.wanted, [[1, 1], [0, 0], [np.nan, np.nan]])
    np.testing.assert_array_equal(several.labelled, [True, True, False])
    np.testing.assert_array_equal(read_cohort(table, Endpoint.regression("age")).wanted[:, 0], [50, np.nan, 61])


def test_stated_classes_leave_others_unlabelled_and_values_can_be_renamed(write):
    table = write("case,msi\nA,MSI-H\nB,MSS\nC,MSI-L\nD,POLE\n")
    endpoint = Endpoint.classification("msi", classes=("MSS", "MSI-H"), rename={"MSI-L": "MSS"})
    cohort = read_cohort(table, endpoint)
    np.testing.assert_array_equal(cohort.wanted[:, 0], [1, 0, 0, np.nan])
    assert any("no class asked for" in note and "POLE 1" in note for note in cohort.notes)


def test_spaces_and_line_breaks_in_the_name_of_a_class_are_one_space(write):
    table = write('case,subtype\nA,"Luminal\n A"\nB,Luminal  A\nC,Basal\n')
    assert read_cohort(table, SUBTYPE).endpoint.classes == ("Basal", "Luminal A")
    stated = Endpoint.classification("subtype", classes=("Luminal A", "Other"), rename={"Basal": "Other"})
    np.testing.assert_array_equal(read_cohort(table, stated).wanted[:, 0], [0, 0, 1])


def test_numbers_are_classes_in_their_order_and_written_without_a_point(write):
    cohort = read_cohort(write("case,isup\nA,2.0\nB,10.0\nC,\nD,0.0\n"), Endpoint.classification("isup"))
    assert cohort.endpoint.classes == ("0", "2", "10")


def test_barcodes_are_cut_to_the_patient_and_give_the_site(write):
    table = write(
        "slide_id,subtype\nTCGA-3C-AALI-01Z-00-DX1.F6.svs,A\nTCGA-3C-AALI-01Z-00-DX2.C4.svs,A\nTCGA-4H-AAAK-01Z-00-DX1.4E.svs,B\n"
    )
    cohort = read_cohort(table, SUBTYPE)
    assert cohort.names == ("TCGA-3C-AALI", "TCGA-4H-AAAK")
    assert [case.site for case in cohort.cases] == ["3C", "4H"]
    assert len(cohort.cases[0].slides) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("case,slide,subtype\nP1,a,A\nP1,b,B\n", "lines 2 and 3, column subtype: the case P1 is 'A' and 'B'"),
        ("case,slide,subtype\nP1,a,A\nP2,a,B\n", "lines 2 and 3, column slide: the slide a belongs to two cases"),
        ("case,site,subtype\nP1,x,A\nP1,y,A\nP2,x,B\n", "lines 2 and 3, column site"),
        ("case,slide,subtype\n,a,A\nP2,b,B\n", "line 2, column case: no case is named"),
        ("slide,subtype\na,A\nb,B\n", "no column that names the patient"),
        ("case,grade\na,A\nb,B\n", "no column 'subtype'"),
        ("case,subtype\nP1,A\np1,B\n", "line 3, column case: the cases P1 and p1 differ in capitals only"),
        ("case,subtype\nP1,Basal\nP2,LumA\nP3,basal\n", "line 4, column subtype: the classes 'Basal' and 'basal'"),
        ("case,subtype\na,A\nb,A\n", "at least two classes"),
        ("case;subtype\na;A|B\nb;C\n", r"column subtype: the class 'A\|B' has a \| in its name"),
        ("case,subtype,subtype\na,A,A\nb,B,B\n", "the column subtype twice"),
        ("case,subtype\n" + "".join(f"c{i},{i}\n" for i in range(60)), "60 different values"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_line_and_column(write, content, words):
    with pytest.raises(TableError, match=words):
        read_cohort(write(content), SUBTYPE)


def test_an_outcome_or_label_that_is_not_understood_is_named(write):
    with pytest.raises(TableError, match="line 3, column died: 'perhaps'"):
        read_cohort(write("case,days,died\na,1,1\nb,2,perhaps\n"), Endpoint.survival("days", event="died"))
    with pytest.raises(TableError, match="line 2, column er: 'weak'"):
        read_cohort(write("case,er\na,weak\nb,1\n"), Endpoint.multilabel(["er"]))
    with pytest.raises(TableError, match="no row has a time and an event"):
        read_cohort(write("case,days,died\na,1,0\nb,2,0\n"), Endpoint.survival("days", event="died"))


def test_files_are_found_by_the_name_of_the_slide_or_of_the_case(write):
    files = ["bags/p1-a.h5", "bags/p1-b.h5", "bags/p2.h5", "bags/P4_2.h5", "bags/P44.h5"]
    cohort = find_slides(read_cohort(write(EXCEL), SUBTYPE), files)
    assert [case.slides for case in cohort.cases] == [
        ("bags/p1-a.h5", "bags/p1-b.h5"),
        ("bags/p2.h5",),
        (),
        ("bags/P4_2.h5",),
    ]
    assert (
        "4 of 5 files belong to 3 of 4 cases; 1 files belong to no case (P44), 1 cases have no file (P3)"
        in cohort.notes[-1]
    )
    assert "1 slides of the table are not there (p3" in cohort.notes[-1]
    with pytest.raises(TableError, match="the same slide"):
        find_slides(cohort, ["a/p1-a.h5", "b/p1-a.npy"])


def test_barcoded_files_are_found_where_the_table_names_only_patients(write):
    cohort = read_cohort(write("case,subtype\nTCGA-3C-AALI,A\nTCGA-4H-AAAK,B\n"), SUBTYPE)
    found = find_slides(cohort, ["TCGA-3C-AALI-01Z-00-DX1.F6.h5", "TCGA-3C-AALI-01Z-00-DX2.C4.h5"])
    assert [len(case.slides) for case in found.cases] == [2, 0]


def test_partly_paired_cohorts_are_counted_both_ways(write):
    cohort = read_cohort(write(EXCEL), SUBTYPE)
    pairing = cohort.pairing(["P1", "P3", "P9"])
    assert pairing.usable.tolist() == [0, 1, 2]
    assert "4 cases, 3 with slides: 1 with label and RNA, 1 with label but no RNA" in pairing.words
    assert "1 with RNA but no label" in pairing.words
    assert "1 with a label and 0 with RNA; 1 cases of the expression table are not in the cohort" in pairing.words


def test_the_real_tables_load_with_one_call_each(shared_data):
    brca = read_cohort(shared_data / "rna/tcga_brca_slides_clinical.csv", Endpoint.classification("pam50"))
    assert (len(brca), int(brca.labelled.sum()), len(brca.endpoint.classes)) == (956, 934, 5)
    survival = Endpoint.survival("survival_months", censorship="censorship")
    assert read_cohort(shared_data / "rna/tcga_coadread_slides_clinical.csv", survival).labelled.all()
    gi = read_cohort(
        shared_data / "labels/tcga_gi_molecular_subtypes.tsv", Endpoint.classification("Molecular_Subtype")
    )
    assert gi.endpoint.classes == ("CIN", "EBV", "GS", "HM-SNV", "MSI")
    whole = shared_data / "labels/tcga_pancanatlas_clinical_subtypes.tsv.gz"
    event = Endpoint.survival("Overall Survival (Months)", event="Overall Survival Status")
    cohort = read_cohort(whole, event, CohortColumns(site="TCGA PanCanAtlas Cancer Type Acronym"))
    assert len(cohort) == 10953
    assert any("a 1 is the event, as stated: 3495 of 10698 cases" in note for note in cohort.notes)


def test_slides_whose_names_hold_points_are_told_apart(write):
    table = write("case,slide,subtype\nP1,H21.101,A\nP2,H21.102,B\nP3,C9.tiff,B\n")
    cohort = find_slides(read_cohort(table, SUBTYPE), ["H21.101.h5", "H21.102.h5", "C9.h5"])
    assert [case.slides for case in cohort.cases] == [("H21.101.h5",), ("H21.102.h5",), ("C9.h5",)]


def test_an_expression_table_of_nobody_here_is_refused(write):
    cohort = read_cohort(write(EXCEL), SUBTYPE)
    with pytest.raises(
        TableError, match=r"none of the 2 cases of the expression table \(1 \.\.\.\) is in cohort.csv \(P1"
    ):
        cohort.pairing(["1", "2"])
    assert not cohort.pairing([]).has_rna.any()


def test_folds_of_the_table_itself_are_taken_and_unlabelled_cases_only_train(write):
    rows = "A,x,train,test\nB,x,test,train\nC,y,train,train\nD,,test,train\nE,,,\nF,y,,\n"
    cohort = read_cohort(write("case,subtype,fold_0,fold_1\n" + rows), SUBTYPE)
    assert cohort.folds is not None
    assert cohort.folds.roles.tolist() == [[1, 3], [3, 1], [1, 1], [0, 1], [1, 1], [0, 0]]
    numbered = read_cohort(write("case;subtype;part\nA;x;1\nB;y;2\nC;;2\n"), SUBTYPE, CohortColumns(fold="part"))
    assert numbered.folds is not None
    assert numbered.folds.roles.tolist() == [[3, 1], [1, 3], [1, 0]]


def test_one_site_in_two_spellings_is_one_and_one_name_of_two_slides_is_refused(write):
    table = write("case,slide,subtype,site\nP1,a/1.svs,A,Bonn\nP2,b/1.svs,B,bonn\n")
    cohort = read_cohort(table, SUBTYPE)
    assert {case.site for case in cohort.cases} == {"Bonn"}
    with pytest.raises(TableError, match=r"a slide of P1 and one of P2 are both called 1\.svs"):
        find_slides(cohort, ["1.h5"])
