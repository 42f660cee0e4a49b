import numpy as np
from scipy.spatial import cKDTree

from napari_pathlupi.simulation.fields import BLOCK_PX
from napari_pathlupi.simulation.packing import BlockIndex, keep_apart, scatter


def test_points_that_are_kept_never_touch_and_leave_no_room() -> None:
    random = np.random.default_rng(0)
    points, radius = random.uniform(0, 1000, (3000, 2)), random.uniform(3, 12, 3000)
    kept = keep_apart(points, radius, random.random(3000))
    distance, near = cKDTree(points[kept]).query(points[kept], k=8)
    assert np.all(distance[:, 1:] >= radius[kept][:, None] + radius[kept][near[:, 1:]] - 1e-9)
    lost = np.setdiff1d(np.arange(3000), kept)
    gaps = np.linalg.norm(points[lost][:, None] - points[kept][None], axis=-1) - radius[lost][:, None] - radius[kept]
    assert np.all(gaps.min(axis=1) < 0)


def test_the_earlier_of_two_rivals_stays_and_what_it_beats_beats_nothing() -> None:
    points = np.array([[0.0, 0.0], [1.5, 0.0], [3.0, 0.0]])
    assert list(keep_apart(points, np.ones(3), np.array([0.0, 1.0, 2.0]))) == [0, 2]
    assert list(keep_apart(points, np.ones(3), np.array([1.0, 0.0, 2.0]))) == [1]


def test_one_point_or_none_is_kept() -> None:
    for count in (0, 1):
        assert len(keep_apart(np.zeros((count, 2)), np.ones(count), np.ones(count))) == count


def test_scattered_points_follow_the_density() -> None:
    density = np.zeros((50, 50))
    density[:, 25:] = 0.01
    points = scatter(np.random.default_rng(1), density, 8.0)
    assert np.all(points[:, 1] >= 25 * 16)
    assert abs(len(points) - 0.01 * 64 * 1250) < 120


def test_the_index_finds_every_point_near_a_block() -> None:
    points = np.random.default_rng(2).uniform(0, 5 * BLOCK_PX, (500, 2))
    index = BlockIndex.of(points, (5, 5))
    for block in ((0, 0), (2, 3), (4, 4)):
        distance = np.abs(points // BLOCK_PX - block).max(axis=1)
        assert sorted(index.near(block)) == list(np.flatnonzero(distance <= 1))
