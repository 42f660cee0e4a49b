import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.gene_scale import CLIP, GeneScale, informative_genes

SETS = {"A": [f"G{i}" for i in range(8)], "B": [f"G{i}" for i in range(6, 14)], "RARE": ["G0", "X"]}


@pytest.fixture
def table():
    values = np.random.default_rng(0).normal(5, 2, (60, 20))
    return pd.DataFrame(values, index=[f"P{i}" for i in range(60)], columns=[f"G{i}" for i in range(20)])


def test_genes_of_all_sets_stand_one_set_after_the_other(table):
    scale = GeneScale.fit(table, SETS)
    assert dict(scale.sets) == {"A": 8, "B": 8}
    assert dict(scale.too_few) == {"RARE": 1}
    targets = scale.apply(table)
    assert tuple(targets.columns) == scale.names
    pd.testing.assert_series_equal(targets["A G7"], targets["B G7"], check_names=False)


def test_nothing_of_other_cases_leaks_into_the_scale(table):
    scale = GeneScale.fit(table[:40], SETS)
    pd.testing.assert_frame_equal(scale.apply(table)[40:], scale.apply(table[40:]))
    changed = table.copy()
    changed.iloc[40:] += 100
    np.testing.assert_array_equal(GeneScale.fit(changed[:40], SETS).centre, scale.centre)


def test_an_outlier_does_not_flatten_the_others_and_is_held(table):
    wild = table.copy()
    wild.iloc[0, 0] = 4e4
    targets = GeneScale.fit(wild, SETS).apply(wild)
    assert targets.iloc[0, 0] == CLIP
    assert 0.8 < targets.iloc[1:, 0].std() < 1.3
    assert targets.abs().max(axis=None) <= CLIP


def test_a_gene_that_never_varies_is_not_used_and_one_that_rarely_does_stays_finite(table):
    table["G0"], table["G1"] = 1.0, 0.0
    table.iloc[5, 1] = 9.0
    scale = GeneScale.fit(table, SETS)
    assert scale.sets["A"] == 7
    assert np.isfinite(scale.apply(table)).all(axis=None)


def test_a_missing_value_stays_missing(table):
    holey = table.copy()
    holey.iloc[3, 2] = np.nan
    targets = GeneScale.fit(holey, SETS).apply(holey)
    assert targets.isna().sum().sum() == 1
    with pytest.raises(TableError, match="lacks 1 of the 14 genes"):
        GeneScale.fit(table, SETS).apply(table.drop(columns="G3"))


@pytest.mark.parametrize("groups", [2, 3])
def test_only_genes_that_tell_the_groups_apart_are_informative(table, groups):
    label = np.arange(60.0) % groups
    table.iloc[:, :6] += 3 * label[:, None]
    table.iloc[0, 0] = np.nan
    label[-5:] = np.nan
    found = informative_genes(table, label)
    assert found[:6].all()
    assert found[6:].mean() < 0.3
    targets = GeneScale.fit(table, SETS, groups=label).apply(table)
    every = GeneScale.fit(table, SETS).apply(table)
    assert list(targets) == list(every)
    genes = [int(name.partition("G")[2]) for name in targets]
    np.testing.assert_array_equal(targets.notna().any(), found[genes])
    pd.testing.assert_frame_equal(targets.loc[:, found[genes]], every.loc[:, found[genes]])
    with pytest.raises(TableError, match="two groups"):
        informative_genes(table, np.zeros(60))


def test_the_analysis_of_variance_agrees_with_scipy(table):
    from napari_pathlupi.molecular.gene_scale import _anova

    parts = [table.to_numpy()[i::3] for i in range(3)]
    np.testing.assert_allclose(_anova(parts), f_oneway(*parts).pvalue)


def test_fits_the_real_table_whose_z_scores_run_wild(shared_data):
    from napari_pathlupi.core.cohort import Endpoint
    from napari_pathlupi.molecular.gene_sets import read_gene_sets
    from napari_pathlupi.molecular.tables import read_expression
    from napari_pathlupi.workflows.cases.cohort_table import read_cohort

    expression = read_expression(shared_data / "rna/tcga_brca_rna_zscores.csv.gz")
    pam50 = Endpoint.classification("pam50")
    cohort = read_cohort(shared_data / "rna/tcga_brca_slides_clinical.csv", pam50)
    table = expression.of(cohort.names)
    sets = read_gene_sets(shared_data / "genesets/signatures_mcat.csv")
    every, masked = GeneScale.fit(table, sets), GeneScale.fit(table, sets, groups=cohort.wanted[:, 0])
    assert masked.names == every.names
    assert 0.05 < np.isnan(masked.spread).mean() < 0.2
    targets = every.apply(table)
    assert targets.std().between(0.5, 1.5).mean() > 0.95
    her2 = targets["Oncogenes ERBB2"].groupby(cohort.wanted[:, 0]).mean()
    assert cohort.endpoint.classes[int(her2.idxmax())] == "Her2"
