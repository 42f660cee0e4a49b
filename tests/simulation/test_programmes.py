import numpy as np
import pytest

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import PROFILES, PROGRAMMES, SUBTYPES, draw_case


def test_subtypes_are_balanced_in_every_four_cases() -> None:
    subtypes = [draw_case(SimulationConfig(), index).subtype for index in range(40)]
    assert all(set(subtypes[start : start + 4]) == set(SUBTYPES) for start in range(0, 40, 4))
    assert len({tuple(subtypes[start : start + 4]) for start in range(0, 40, 4)}) > 1


def test_a_case_does_not_depend_on_the_size_of_the_cohort() -> None:
    few, many = (draw_case(SimulationConfig(cases=cases), 7) for cases in (8, 80))
    assert (few.subtype, few.activities) == (many.subtype, many.activities)


def test_activities_vary_within_a_subtype_around_its_profile() -> None:
    cases = [draw_case(SimulationConfig(), index) for index in range(400)]
    for subtype, profile in PROFILES.items():
        activities = np.array([case.activities for case in cases if case.subtype == subtype])
        assert np.all(np.abs(activities.mean(axis=0) - profile) < 0.08)
        assert np.all(activities.std(axis=0) > 0.05)
        assert activities.min() >= 0 and activities.max() <= 1


def test_without_contrast_the_subtypes_are_alike() -> None:
    cases = [draw_case(SimulationConfig(contrast=0.0, case_spread=0.0), index) for index in range(4)]
    assert len({case.activities for case in cases}) == 1


def test_every_profile_names_every_programme() -> None:
    assert all(len(profile) == len(PROGRAMMES) for profile in PROFILES.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"cases": 0},
        {"seed": -1},
        {"mpp": 5.0},
        {"shape_px": (300, 3000)},
        {"nest_share": (0.3, 0.2)},
        {"held_back": 1.0},
        {"jpeg_quality": 0},
    ],
)
def test_a_setting_outside_what_works_is_refused_in_a_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"^.+: .+\.$"):
        SimulationConfig(**wrong)  # type: ignore[arg-type]
