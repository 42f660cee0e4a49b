from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.core.cohort import Case, Cohort, Endpoint
from napari_pathlupi.errors import TableError
from napari_pathlupi.workflows.cases.outcomes import groups_of
from napari_pathlupi.workflows.cases.split import SplitPlan, split
from napari_pathlupi.workflows.training.study_targets import Targets


def test_only_genes_that_tell_the_training_cases_apart_are_asked_for_with_the_same_columns_in_every_fold():
    random = np.random.default_rng(0)
    labels = np.arange(60.0) % 2
    values = random.normal(size=(60, 20))
    values[:, :8] += 2 * labels[:, None]
    table = pd.DataFrame(values, columns=[f"G{i}" for i in range(20)], index=[f"P{i}" for i in range(60)])
    cases = tuple(Case(name, (label,), ("s" + name,)) for name, label in zip(table.index, labels, strict=True))
    cohort = Cohort(cases, Endpoint.classification("label", ("a", "b")))
    folds = split(cohort, SplitPlan(folds=2))
    sets = {"A": list(table.columns[:10]), "B": list(table.columns[10:])}
    every = Targets.of(table.iloc[3:], sets, 5, (cohort, folds), "reconstruction-genes")
    with pytest.raises(TableError, match=r"none of the 2 genes of the gene sets \(X, Y \.\.\.\)"):
        Targets.of(table, {"A": ["X", "Y"]}, 5, (cohort, folds), "reconstruction-genes")
    told_apart = replace(every, told_apart=cohort)
    for fold in range(2):
        asked, names, sizes = told_apart.scaled(folds.train(fold))
        assert names == every.scaled(folds.train(fold))[1]
        assert sizes == {"A": 10, "B": 10}
        there = np.isfinite(asked).any(axis=0)
        assert there[:8].all()
        assert there[8:].mean() < 0.4


def test_groups_are_classes_early_events_and_upper_halves():
    survival = np.array([[1, 1], [2, 0], [4, 1], [9, 0], [9, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(
        groups_of(Endpoint.survival("days", event="died"), survival), [1, np.nan, 0, 0, 0, np.nan]
    )
    np.testing.assert_array_equal(
        groups_of(Endpoint.classification("x"), np.array([[1], [0], [np.nan]])), [1, 0, np.nan]
    )
    np.testing.assert_array_equal(groups_of(Endpoint.regression("x"), np.array([[1.0], [2.0], [3.0]])), [0, 0, 1])
