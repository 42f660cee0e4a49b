from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import PROGRAMMES, SUBTYPES, Case, draw_case
from napari_pathlupi.simulation.rendering import _scene, render, truth


@pytest.fixture(scope="module")
def picture(case: Case) -> np.ndarray:
    return render(case, (0, 0), case.config.shape_px)


def enlarged(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.repeat(field, 16, axis=0), 16, axis=1)[: shape[0], : shape[1]]


def test_any_rectangle_equals_the_same_part_of_a_larger_one(case: Case, picture: np.ndarray) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        y, x = (int(random.integers(0, side - 1)) for side in picture.shape[:2])
        height, width = (
            int(random.integers(1, side - start + 1)) for side, start in zip(picture.shape, (y, x), strict=False)
        )
        part = render(case, (y, x), (height, width))
        np.testing.assert_array_equal(part, picture[y : y + height, x : x + width])


def test_a_case_is_a_function_of_its_seed(case: Case, picture: np.ndarray) -> None:
    _scene.cache_clear()
    np.testing.assert_array_equal(render(case, (400, 400), (300, 300)), picture[400:700, 400:700])
    other = draw_case(replace(case.config, seed=4), case.index)
    assert np.any(render(other, (400, 400), (300, 300)) != picture[400:700, 400:700])


def test_no_seam_shows_between_blocks(picture: np.ndarray) -> None:
    light = picture.mean(axis=2)
    steps = np.abs(np.diff(light, axis=1)).mean(axis=0)
    assert steps[511] < 1.5 * np.median(steps[480:540])


def test_a_rectangle_off_the_slide_is_refused(case: Case) -> None:
    for origin, shape in (((-1, 0), (10, 10)), ((0, 1295), (10, 10)), ((0, 0), (0, 10))):
        with pytest.raises(ValueError, match="not within the slide"):
            render(case, origin, shape)


def test_truth_is_0_outside_tissue_and_outside_tumour(case: Case) -> None:
    planted = truth(case)
    assert set(planted) == {programme.name for programme in PROGRAMMES} | {"tumour", "tissue"}
    for name, field in planted.items():
        assert field.shape == (69, 82) and field.dtype == np.float32
        assert field.min() >= 0 and field.max() <= 1
        assert np.all(field[planted["tissue"] == 0] == 0)
        if name not in ("tissue", "tumour"):
            assert np.all(field[planted["tumour"] == 0] == 0)


def test_tissue_is_stained_and_the_rest_is_glass(case: Case) -> None:
    plain = draw_case(replace(case.config, pen_share=0.0), case.index)
    picture = render(plain, (0, 0), plain.config.shape_px)
    tissue = enlarged(truth(plain)["tissue"], picture.shape)
    colour = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert (colour[tissue == 1] > 12).mean() > 0.7
    assert (colour[tissue == 0] > 12).mean() < 0.02


def test_tumour_is_a_stated_share_of_the_tissue() -> None:
    config = SimulationConfig(seed=8, shape_px=(3072, 3072), nest_share=(0.15, 0.15))
    for index in range(4):
        planted = truth(draw_case(config, index))
        assert 0.10 < planted["tumour"].sum() / planted["tissue"].sum() < 0.20


def test_activities_in_the_tumour_follow_the_case() -> None:
    config = SimulationConfig(seed=9)
    for index in range(len(SUBTYPES)):
        case = draw_case(config, index)
        planted = truth(case)
        inside = planted["tumour"] == 1
        means = [planted[programme.name][inside].mean() for programme in PROGRAMMES]
        assert np.abs(np.array(means) - case.activities).max() < 0.25


def test_two_cases_of_one_subtype_look_different() -> None:
    config = SimulationConfig(shape_px=(1024, 1024), seed=2)
    cases = [draw_case(config, index) for index in range(8)]
    first, second = [case for case in cases if case.subtype == "Demo A"][:2]
    assert first.activities != second.activities
    a, b = (render(case, (0, 0), (1024, 1024)).astype(int) for case in (first, second))
    assert np.abs(a - b).mean() > 5


def test_nothing_outside_the_nests_depends_on_the_programmes(case: Case, picture: np.ndarray) -> None:
    other = replace(case, activities=tuple(1 - activity for activity in case.activities))
    planted = truth(case)
    np.testing.assert_array_equal(planted["tissue"], truth(other)["tissue"])
    np.testing.assert_array_equal(planted["tumour"], truth(other)["tumour"])
    changed = np.any(render(other, (0, 0), case.config.shape_px) != picture, axis=2)
    near = enlarged(ndimage.binary_dilation(planted["tumour"] > 0, iterations=4), picture.shape)  # 32 µm
    assert changed[enlarged(planted["tumour"] == 1, picture.shape)].mean() > 0.3
    assert changed[~near].mean() == 0
