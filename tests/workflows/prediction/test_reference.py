import numpy as np
import pytest
import torch

from napari_pathlupi.workflows.prediction.reference import Reference

DIM = 20


def cases(count: int, seed: int) -> np.ndarray:
    mixing = np.random.default_rng(0).normal(size=(DIM, DIM))
    return np.random.default_rng(seed).normal(size=(count, DIM)) @ mixing


def share_within(fitted_on: int) -> float:
    reference = Reference(DIM)
    limit = reference.fit(cases(fitted_on, 1))
    others = torch.from_numpy(cases(1000, 2)).float()
    return float(np.mean([float(reference(vector)) <= limit for vector in others]))


@pytest.mark.parametrize("count", [40, 200])
def test_the_limit_holds_for_cases_that_were_not_fitted(count):
    assert share_within(count) > 0.95


def test_a_case_unlike_all_others_lies_beyond_the_limit():
    reference = Reference(DIM)
    limit = reference.fit(cases(200, 1))
    odd = torch.from_numpy(cases(1, 3)[0] + 40).float()
    assert float(reference(odd)) > limit


def test_distances_do_not_depend_on_the_scale_of_the_features():
    # each case moved by a factor common to all of them: what Ledoit and Wolf's shrinkage leaves as it is
    plain, scaled = Reference(DIM), Reference(DIM)
    limits = plain.fit(cases(100, 1)), scaled.fit(10 * cases(100, 1))
    assert limits[0] == pytest.approx(limits[1], rel=1e-6)


def test_fewer_cases_than_dimensions_still_give_a_distance():
    reference = Reference(DIM)
    assert np.isfinite(reference.fit(cases(10, 1)))
    assert torch.isfinite(reference(torch.zeros(DIM)))
