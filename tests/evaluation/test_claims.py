"""Claims of gene sets beside what was measured: correlation within folds, and its interval."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr

from napari_pathlupi.core.claims import NEVER, ClaimCheck, summary
from napari_pathlupi.errors import TableError
from napari_pathlupi.evaluation.claims import ClaimsOfFold, check_claims, read_checks, table_of
from napari_pathlupi.evaluation.plots import plot_of_claims
from napari_pathlupi.evaluation.scoring import ScoreConfig

QUICK = ScoreConfig(resamples=300)


def fold(number: int, cases: int, noise: float, seed: int = 0) -> ClaimsOfFold:
    rng = np.random.default_rng([seed, number])
    measured = rng.normal(size=(cases, 2))
    claimed = 3 * number + measured * [1, 0] + noise * rng.normal(size=(cases, 2))
    return ClaimsOfFold(tuple(f"{number}-{i}" for i in range(cases)), claimed, measured)


def test_a_fold_is_correlated_by_itself_and_counts_by_its_cases() -> None:
    folds = [fold(0, 40, 0.5), fold(1, 20, 2.0)]
    checks = check_claims(folds, ["SEEN", "UNSEEN"], QUICK)
    each = [pearsonr(one.claimed[:, 0], one.measured[:, 0]).statistic for one in folds]
    assert checks["SEEN"].r == pytest.approx((40 * each[0] + 20 * each[1]) / 60)
    assert checks["SEEN"].cases == 60
    assert checks["SEEN"].low < checks["SEEN"].r < checks["SEEN"].high
    assert checks["SEEN"].follows
    assert checks["UNSEEN"].low < 0 < checks["UNSEEN"].high
    exact = check_claims([fold(0, 40, 0.0)], ["SEEN", "UNSEEN"], QUICK)["SEEN"]
    assert (exact.r, exact.low, exact.high) == pytest.approx((1, 1, 1))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = [check_claims([fold(0, 60, 1.0, seed)], ["a", "b"], QUICK)["b"] for seed in range(200)]
    assert 0.88 < np.mean([one.low <= 0 <= one.high for one in held]) <= 0.99


def test_what_was_not_measured_does_not_count_and_several_folds_of_a_case_are_one_case() -> None:
    one, other = fold(0, 30, 0.5), fold(1, 30, 0.5)
    one.measured[:6, 0] = np.nan
    checks = check_claims([one, other], ["a", "b"], QUICK)
    assert (checks["a"].cases, checks["b"].cases) == (54, 60)
    again = ClaimsOfFold(one.cases, other.claimed, other.measured)
    assert check_claims([fold(0, 30, 0.5), again], ["a", "b"], QUICK)["a"].cases == 30


def test_few_cases_and_activity_that_does_not_differ_say_nothing_and_it_is_told() -> None:
    few = check_claims([fold(0, 7, 0.1)], ["a", "b"], QUICK)["a"]
    assert np.isnan([few.r, few.low, few.high]).all()
    assert few.words == "It was held against measured expression in 7 held-back cases, too few to say."
    flat = fold(0, 30, 0.1)
    flat.claimed[:, 0] = 0.3 + 1e-7 * flat.claimed[:, 1]
    flat.measured[:, 1] = 2.0
    for check in check_claims([flat], ["a", "b"], QUICK).values():
        assert check.cases == 30
        assert not check.known
        assert "hardly differs" in check.words
    two = check_claims([fold(0, 30, 0.5), fold(1, 2, 0.5)], ["a", "b"], QUICK)["a"]
    assert two.cases == 30  # a line fits any two
    assert check_claims([], ["a"], QUICK) == {}


def test_words_say_on_which_side_of_chance_the_claim_was() -> None:
    follows = ClaimCheck(0.456, 0.31, 0.58, 124)
    assert (
        follows.words == "On 124 held-back cases the claim followed the measured activity with r = 0.46 (0.31 to 0.58)."
    )
    chance = ClaimCheck(0.05, -0.12, 0.22, 124)
    assert chance.words == "On 124 held-back cases the claim was no better than chance (r = 0.05, -0.12 to 0.22)."
    assert "went against the measured activity with r = -0.40 (" in ClaimCheck(-0.4, -0.6, -0.1, 50).words
    assert "(r = 0.10, 0.00 to 0.20)" in ClaimCheck(0.1, -0.001, 0.2, 50).words
    assert ClaimCheck(np.nan, np.nan, np.nan, 0).words == NEVER
    assert ClaimCheck.of(follows.entry).words == follows.words
    assert ClaimCheck.of((None, None, None, 3)).words.endswith("in 3 held-back cases, too few to say.")


def test_a_summary_counts_those_that_follow_beside_what_chance_would_give() -> None:
    sets = {f"S{i}": ClaimCheck(0.5, 0.2, 0.7, 60 + i) for i in range(30)} | {"BAD": ClaimCheck(-0.5, -0.7, -0.2, 60)}
    words = summary(sets | {"FLAT": ClaimCheck(np.nan, np.nan, np.nan, 60)})
    assert words.startswith(
        "On 60 to 89 held-back cases the claimed activity followed the measured one in 30 of 31 gene"
    )
    assert "by chance alone about 1 would" in words
    assert "against it in 1. 1 could not be judged" in words
    assert "none can be judged" in summary({"FLAT": ClaimCheck(np.nan, np.nan, np.nan, 4)})
    assert summary({}) == ""


def test_a_table_is_read_as_it_was_written_and_another_is_refused(tmp_path: Path) -> None:
    checks = {"B": ClaimCheck(0.1, -0.1, 0.3, 40), "A": ClaimCheck(0.5, 0.4, 0.6, 40)}
    checks["C"] = ClaimCheck(np.nan, np.nan, np.nan, 4)
    table_of(checks).to_csv(tmp_path / "gene_sets.csv", index=False)
    again = read_checks(tmp_path)
    assert list(again) == ["A", "B", "C"]
    assert {name: one.words for name, one in again.items()} == {name: one.words for name, one in checks.items()}
    (tmp_path / "gene_sets.csv").write_text("name,genes\nA,3\n")
    with pytest.raises(TableError, match="is not what a run writes"):
        read_checks(tmp_path)
    assert read_checks(tmp_path / "elsewhere") == read_checks(tmp_path / "gene_sets.csv") == {}


@pytest.mark.parametrize("count", [1, 50, 331])
def test_all_gene_sets_are_drawn_on_a_page(count: int) -> None:
    title, _, png = plot_of_claims({f"SET_{i}": ClaimCheck(0.1, -0.1, 0.3, 40) for i in range(count)})
    assert title == "Claimed and measured activity"
    assert int.from_bytes(png[20:24], "big") < 11 * 150
    assert plot_of_claims({"A": ClaimCheck(np.nan, np.nan, np.nan, 4)}) is None
