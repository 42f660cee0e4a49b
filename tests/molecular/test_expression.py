import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular.expression import GeneSetScale, level_out

SETS = {"UP": [f"U{i}" for i in range(6)], "DOWN": [f"D{i}" for i in range(6)], "RARE": ["U0", "X1", "X2"]}


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(40, 1))
    values = np.hstack([activity, -activity])[:, np.repeat([0, 1], 6)] + 0.3 * rng.normal(size=(40, 12)) + 5
    genes = [f"{kind}{i}" for kind in "UD" for i in range(6)]
    return pd.DataFrame(values, index=[f"case{i}" for i in range(40)], columns=genes)


def test_targets_follow_the_activity_and_are_of_unit_spread(table):
    targets = GeneSetScale.fit(table, SETS).apply(table)
    assert targets.shape == (40, 2)
    np.testing.assert_allclose(targets.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(targets.std(ddof=0), 1)
    assert np.corrcoef(targets["UP"], table["U0"])[0, 1] > 0.9
    assert np.corrcoef(targets["UP"], targets["DOWN"])[0, 1] < -0.9


def test_sets_with_too_few_genes_are_reported(table):
    scale = GeneSetScale.fit(table, SETS)
    assert scale.names == ("UP", "DOWN")
    assert scale.too_few == {"RARE": 1}


def test_nothing_of_other_cases_leaks_into_the_scale(table):
    training, others = table[:30], table[30:]
    scale = GeneSetScale.fit(training, SETS)
    with_others = scale.apply(table)
    pd.testing.assert_frame_equal(with_others[:30], scale.apply(training))
    pd.testing.assert_frame_equal(with_others[30:31], scale.apply(others[:1]))


def test_any_unit_that_keeps_the_order_gives_the_same_targets(table):
    scale, in_tpm = GeneSetScale.fit(table, SETS), GeneSetScale.fit(2**table - 1, SETS)
    pd.testing.assert_frame_equal(scale.apply(table), in_tpm.apply(2**table - 1))


def test_an_outlier_counts_no_more_than_the_highest_case(table):
    highest, outlier = table.copy(), table.copy()
    highest.loc["case3", "U0"], outlier.loc["case3", "U0"] = table["U0"].max() + 1, 1e9
    both = (GeneSetScale.fit(t, SETS).apply(t) for t in (highest, outlier))
    pd.testing.assert_frame_equal(*both)


def test_tied_cases_are_equal(table):
    table.loc["case1"] = table.loc["case0"]
    targets = GeneSetScale.fit(table, SETS).apply(table)
    np.testing.assert_allclose(targets.loc["case1"], targets.loc["case0"])


def test_a_gene_that_never_varies_is_not_used(table):
    table["U0"] = 1.0
    scale = GeneSetScale.fit(table, SETS)
    assert "U0" not in scale.genes
    assert scale.too_few == {"RARE": 0}


def test_a_missing_value_is_left_out_and_a_missing_case_stays_unknown(table):
    scale = GeneSetScale.fit(table, SETS)
    holey = table.copy()
    holey.loc["case0", "U0"] = np.nan
    holey.loc["case1"] = np.nan
    targets = scale.apply(holey)
    assert np.isfinite(targets.loc["case0"]).all()
    assert targets.loc["case1"].isna().all()
    pd.testing.assert_frame_equal(targets[2:], scale.apply(table)[2:])


def test_columns_may_stand_in_any_order(table):
    scale = GeneSetScale.fit(table, SETS)
    pd.testing.assert_frame_equal(scale.apply(table[table.columns[::-1]]), scale.apply(table))


def test_a_table_that_cannot_be_used_is_one_sentence(table):
    scale = GeneSetScale.fit(table, SETS)
    with pytest.raises(TableError, match="none of the 3 gene sets has 5 of the 12 genes"):
        GeneSetScale.fit(table.rename(columns=str.lower), SETS)
    with pytest.raises(TableError, match="lacks 1 of the 12 genes"):
        scale.apply(table.drop(columns="U3"))
    with pytest.raises(TableError, match=r"case7 .* twice"):
        scale.apply(pd.concat([table, table.loc[["case7"]]]))
    with pytest.raises(TableError, match="not of numbers"):
        GeneSetScale.fit(table.assign(case="x"), SETS)


def test_fits_a_real_expression_table(shared_data):
    from napari_pathlupi.molecular.gene_sets import hallmark

    table = pd.read_csv(shared_data / "rna/tcga_coadread_rna_log2tpm.csv.gz", index_col=0, nrows=60)
    scale = GeneSetScale.fit(table[:40], hallmark())
    targets = scale.apply(table)
    assert targets.shape == (60, len(scale.names))
    assert len(scale.names) >= 45
    assert targets.notna().all(axis=None)


def test_without_the_level_a_constant_on_all_log_genes_of_a_case_changes_nothing(table):
    gaps = table.mask(np.random.default_rng(2).random(table.shape) < 0.1)
    deeper = gaps.add(np.random.default_rng(1).normal(size=40), axis=0)
    targets, same = (GeneSetScale.fit(t, SETS).apply(t) for t in (level_out(gaps), level_out(deeper)))
    pd.testing.assert_frame_equal(targets, same)
    with_level = GeneSetScale.fit(deeper, SETS).apply(deeper)
    assert not np.allclose(with_level, GeneSetScale.fit(gaps, SETS).apply(gaps), atol=0.1)
