import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathlupi.core.cohort import Case, Cohort, Endpoint
from napari_pathlupi.core.folds import Folds, Role
from napari_pathlupi.errors import MismatchError, SettingsError, TableError
from napari_pathlupi.workflows.cases.split import SplitPlan, split, split_notes, with_validation
from napari_pathlupi.workflows.cases.split_file import read_split


def cohort_of(labels, sites=None, endpoint=None):
    endpoint = endpoint or Endpoint.classification("label", ("A", "B"))
    rows = np.asarray(labels, dtype=float).reshape(len(labels), -1)
    sites = sites or [""] * len(rows)
    cases = [Case(f"P{i}", tuple(row), (f"s{i}",), site) for i, (row, site) in enumerate(zip(rows, sites, strict=True))]
    return Cohort(tuple(cases), endpoint, source="cohort.csv")


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=20, max_size=60),
    folds=st.integers(2, 5),
    by_site=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_labelled_patient_is_tested_once_and_never_beside_itself(labels, folds, by_site, seed):
    labels = [0.0] * 8 + [1.0] * 8 + labels
    cohort = cohort_of(labels, [f"site{i % 12}" for i in range(len(labels))])
    made = split(cohort, SplitPlan(folds, seed, by_site, 0.25))
    tested = np.concatenate([made.test(k) for k in range(len(made))])
    assert sorted(tested) == np.flatnonzero(cohort.labelled).tolist()
    for k in range(len(made)):
        sides = [set(rows) for rows in (made.train(k), made.validation(k), made.test(k))]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert cohort.labelled[made.validation(k)].all() and len(sides[1])
        if by_site:
            sites = [{cohort.cases[row].site for row in side} for side in sides]
            assert not (sites[0] & sites[1] or sites[0] & sites[2] or sites[1] & sites[2])


def test_folds_are_alike_in_classes_and_depend_on_the_seed_only():
    cohort = cohort_of([0] * 40 + [1] * 10 + [np.nan] * 5)
    folds = split(cohort)
    assert [int((cohort.wanted[folds.test(k), 0] == 1).sum()) for k in range(5)] == [2] * 5
    np.testing.assert_array_equal(folds.roles, split(cohort).roles)
    assert (folds.roles != split(cohort, SplitPlan(seed=1)).roles).any()
    assert (folds.roles[50:] == Role.TRAIN).all()
    assert ((folds.roles[:50] == Role.TEST).sum(axis=1) == 1).all()


def test_survival_folds_are_alike_in_events_and_a_rare_class_does_no_harm():
    times = np.random.default_rng(0).exponential(20, 60) + 0.1
    survival = cohort_of(
        np.stack([times, np.arange(60) % 3 == 0], axis=1), endpoint=Endpoint.survival("days", event="e")
    )
    folds = split(survival)
    events = [int(survival.wanted[folds.test(k), 1].sum()) for k in range(5)]
    assert max(events) - min(events) <= 1
    assert len(split(cohort_of([0] * 20 + [1] * 3))) == 5
    assert len(split(cohort_of(times, endpoint=Endpoint.regression("x")))) == 5


def test_folds_too_small_to_say_anything_are_spoken_of():
    cohort = cohort_of([0] * 40 + [1] * 13)
    assert len(split_notes(split(cohort), cohort)) == 1
    assert "Of 13 test folds, 12 with fewer than 5 labelled" in split_notes(split(cohort, SplitPlan(13)), cohort)[1]
    made = split(cohort, SplitPlan(40))
    lacking = sum(len(set(cohort.wanted[made.test(k), 0])) < 2 for k in range(40))
    assert f"40 with fewer than 5 labelled cases and {lacking} without a case" in split_notes(made, cohort)[1]


def test_more_folds_than_cases_or_sites_are_refused():
    with pytest.raises(SettingsError, match="4 labelled cases cannot be split into 5"):
        split(cohort_of([0, 0, 1, 1, np.nan]))
    with pytest.raises(SettingsError, match="0 labelled cases cannot be split into 5: at least two are needed"):
        split(cohort_of([np.nan] * 9, endpoint=Endpoint.regression("age")))
    with pytest.raises(SettingsError, match="2 sites cannot be split into 5"):
        split(cohort_of([0, 1] * 10, ["x", "y"] * 10), SplitPlan(by_site=True))
    with pytest.raises(SettingsError, match=r"share of 0\.9"):
        split(cohort_of([0, 1] * 10), SplitPlan(validation=0.9))


def test_few_sites_still_leave_one_to_choose_by():
    folds = split(cohort_of([0, 1] * 18, [f"site{i % 6}" for i in range(36)]), SplitPlan(by_site=True))
    assert all(len(folds.train(k)) and len(folds.validation(k)) and len(folds.test(k)) for k in range(5))


@pytest.fixture
def ten():
    return cohort_of([0, 1] * 5)


def test_patho_bench_folds_are_read_from_rows_of_slides(tmp_path, ten):
    rows = "".join(
        f"P{i}\ts{i}{j}\t{i % 2}\t{'test' if i < 5 else 'train'}\t{'train' if i < 5 else 'test'}\n"
        for i in range(10)
        for j in "ab"
    )
    (tmp_path / "k=all.tsv").write_text("case_id\tslide_id\tlabel\tfold_0\tfold_1\n" + rows)
    folds = read_split(tmp_path / "k=all.tsv", ten)
    assert folds.test(0).tolist() == folds.train(1).tolist() == [0, 1, 2, 3, 4]
    assert not len(folds.validation(0))
    inner = with_validation(folds, ten, SplitPlan(validation=0.4))
    assert len(inner.validation(0)) and len(inner.train(0)) + len(inner.validation(0)) == 5
    assert inner.test(0).tolist() == [0, 1, 2, 3, 4]
    one_slide_elsewhere = rows.replace("P0\ts0b\t0\ttest", "P0\ts0b\t0\ttrain")
    (tmp_path / "k=all.tsv").write_text("case_id\tslide_id\tlabel\tfold_0\tfold_1\n" + one_slide_elsewhere)
    with pytest.raises(TableError, match="lines 2 and 3, column fold_0: the rows of one case are on two sides"):
        read_split(tmp_path / "k=all.tsv", ten)


def test_published_tcga_folds_with_val_only_are_tested_on_val(tmp_path, ten):
    rows = "".join(
        f"P{i},{'val' if i < 2 else ''},{'missing' if i == 9 else 'train' if i < 2 else 'val'}\n" for i in range(10)
    )
    (tmp_path / "splits.csv").write_text("ID,Fold 0,Fold 1\n" + rows.replace(",,", ",train,"))
    folds = read_split(tmp_path / "splits.csv", ten)
    assert folds.test(0).tolist() == [0, 1]
    assert folds.roles[9].tolist() == [Role.TRAIN, Role.UNUSED]
    assert "val is what is tested" in folds.source


def test_survpath_folds_are_read_from_their_folder_in_order_and_unknown_cases_are_counted(tmp_path):
    cohort = cohort_of([0, 1] * 4 + [np.nan, 0])
    for k in range(11):
        held_out = [f"P{k % 8}", "Q1"]
        train = [f"P{i}" for i in range(8) if f"P{i}" not in held_out]
        rows = [f"{i},{name},{held_out[i] if i < 2 else ''}" for i, name in enumerate(train)]
        (tmp_path / f"splits_{k}.csv").write_text(",train,val\n" + "\n".join(rows) + "\n")
    folds = read_split(tmp_path, cohort)
    assert [folds.test(k).tolist() for k in range(11)] == [[k % 8] for k in range(11)]
    assert (folds.roles[8] == Role.TRAIN).all()
    assert (folds.roles[9] == Role.UNUSED).all()
    assert "8 of 10 cases are in it, 1 labelled ones are not" in folds.source
    assert "1 of its cases are not in the table" in folds.source
    (tmp_path / "splits_0.csv").write_text(",train,val\n0,P1,P1\n")
    with pytest.raises(TableError, match="fold 0: the case P1 is on two sides"):
        read_split(tmp_path, cohort)


def test_a_column_may_number_the_fold_that_tests_a_case(tmp_path, ten):
    (tmp_path / "folds.csv").write_text("case;fold\n" + "".join(f"P{i};{i % 5 + 1}\n" for i in range(10)))
    folds = read_split(tmp_path / "folds.csv", ten)
    assert len(folds) == 5
    assert [int(np.flatnonzero(row == Role.TEST).item()) for row in folds.roles] == [i % 5 for i in range(10)]
    columns = folds.as_columns()
    (tmp_path / "again.csv").write_text(
        ",".join(columns) + "\n" + "\n".join(",".join(row) for row in zip(*columns.values(), strict=True)) + "\n"
    )
    np.testing.assert_array_equal(read_split(tmp_path / "again.csv", ten).roles, folds.roles)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("case,label\nP0,1\nP1,2\n", "no column fold"),
        ("a,b\n1,2\n", "it is no split we know"),
        ("case,fold_0\nX,train\nY,test\n", "names none of the 10 cases of cohort.csv: it has X, the table P0"),
        ("case,fold_0\nP0,train\nP1,left\n", "line 3, column fold_0: 'left'"),
    ],
)
def test_a_file_that_is_no_split_is_one_sentence(tmp_path, ten, content, words):
    (tmp_path / "split.csv").write_text(content)
    with pytest.raises(TableError, match=words):
        read_split(tmp_path / "split.csv", ten)


def test_a_case_is_in_a_split_once():
    with pytest.raises(MismatchError, match="the case P1 is there twice"):
        Folds(("P1", "P1"), np.ones((2, 1), np.int8))
    with pytest.raises(MismatchError, match="one row per case"):
        Folds(("P1", "P2"), np.ones((1, 1), np.int8))
