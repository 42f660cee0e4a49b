"""Clusters against indices that are counted pair by pair."""

from itertools import combinations

import numpy as np
import pytest

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation.clustering import cluster


def _adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Hubert and Arabie's index from all pairs."""
    pairs = list(combinations(range(len(one)), 2))
    both = sum(one[i] == one[j] and other[i] == other[j] for i, j in pairs)
    first, second = (sum(side[i] == side[j] for i, j in pairs) for side in (one, other))
    expected = first * second / len(pairs)
    return float((both - expected) / ((first + second) / 2 - expected))


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    total = 0.0
    for a in set(one):
        for b in set(other):
            joint = float(((one == a) & (other == b)).mean())
            if joint:
                total += joint * np.log(joint / ((one == a).mean() * (other == b).mean()))
    return total


def test_both_indices_are_those_counted_by_hand() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 60)
    found = cluster(rng.normal(size=(60, 4)) + 1.5 * np.eye(3, 4)[classes], classes)
    assert found.ari == pytest.approx(_adjusted_rand(classes, found.members))
    assert found.mutual_information == pytest.approx(_shared(classes, found.members))
    assert 0.1 < found.ari < 1


def test_classes_far_apart_are_found_whole() -> None:
    classes = np.arange(40) % 4
    found = cluster(50 * np.eye(4)[classes] + np.random.default_rng(0).normal(size=(40, 4)), classes)
    assert found.ari == 1
    assert found.mutual_information == pytest.approx(np.log(4))


def test_one_class_and_equal_embeddings_are_refused_and_too_few_different_ones_are_said() -> None:
    with pytest.raises(UnusableFoldError, match="all of one class"):
        cluster(np.eye(4), np.zeros(4, dtype=int))
    with pytest.raises(UnusableFoldError, match="the same in all"):
        cluster(np.ones((6, 2)), np.arange(6) % 2)
    few = cluster(np.array([[0.0], [0], [1], [1], [0], [1]]), np.arange(6) % 3)
    assert "only 2 embeddings differ" in few.notes[0]
