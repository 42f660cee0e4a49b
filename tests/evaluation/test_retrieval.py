"""Retrieval by brute force: every distance, every rank, every precision in loops."""

import numpy as np
import pytest

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation.retrieval import RANKS, average_precision_at, nearest, retrieval_scores


def _slides(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, n)
    return rng.normal(size=(n, 4)) + classes[:, None], classes


def _by_hand(query: np.ndarray, label: int, database: np.ndarray, labels: np.ndarray, k: int) -> float:
    order = sorted(range(len(database)), key=lambda row: (float(((query - database[row]) ** 2).sum()), row))
    summed, hits = 0.0, 0
    for place, row in enumerate(order[:k], start=1):
        if labels[row] == label:
            hits += 1
            summed += hits / place
    return summed / k


def test_every_average_precision_is_the_one_counted_by_hand() -> None:
    queries, database = _slides(15, 0), _slides(40, 1)
    found = retrieval_scores(queries, database)
    assert RANKS == (1, 5, 10)
    for row, (vector, label) in enumerate(zip(*queries, strict=True)):
        for column, k in enumerate(RANKS):
            assert found[row, column] == pytest.approx(_by_hand(vector, label, *database, k))


def test_a_published_example_of_average_precision() -> None:
    hits = np.array([[True, False, True, False, False], [False] * 5, [True] * 5])
    np.testing.assert_allclose(average_precision_at(hits, 5), [(1 + 2 / 3) / 5, 0, 1])
    np.testing.assert_allclose(average_precision_at(hits, 1), [1, 0, 1])


def test_equal_distances_are_ordered_by_row_and_blocks_change_nothing() -> None:
    database = np.repeat(np.eye(3), 2, axis=0)
    assert nearest(np.eye(3)[:1], database, 3).tolist() == [[0, 1, 2]]
    many = np.tile(np.eye(3)[:1], (1100, 1))
    assert (nearest(many, database, 3) == [0, 1, 2]).all()


def test_pairs_that_must_not_meet_do_not() -> None:
    vectors, _ = _slides(30, 2)
    same = np.eye(30, dtype=bool)
    rows = nearest(vectors, vectors, 5, same)
    assert not (rows == np.arange(30)[:, None]).any()
    assert (nearest(vectors, vectors, 1)[:, 0] == np.arange(30)).all()


def test_a_database_smaller_than_the_rank_is_refused_not_filled() -> None:
    with pytest.raises(UnusableFoldError, match="10 slides cannot be retrieved from 4"):
        retrieval_scores(_slides(5, 0), _slides(4, 1))
