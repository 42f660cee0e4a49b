"""Prompts and risks by loops over distances; the sign of the risk."""

import numpy as np
import pytest
from scipy.spatial.distance import euclidean

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.prompting import class_prompts, class_scores, one_sided, prompted_risks, risk_prompts

RNG = np.random.default_rng(5)
SUPPORT, SLIDES = RNG.normal(size=(24, 4)), RNG.normal(size=(10, 4))


def test_a_prompt_is_the_mean_of_its_class_and_the_nearest_wins() -> None:
    classes = np.arange(24) % 3
    prompts = class_prompts(SUPPORT, classes, "abc")
    for index in range(3):
        expected = sum(SUPPORT[row] for row in range(24) if row % 3 == index) / 8
        np.testing.assert_allclose(prompts[index], expected)
    nearest = [min(range(3), key=lambda c: euclidean(slide, prompts[c])) for slide in SLIDES]
    scores = class_scores(SLIDES, prompts)
    assert scores.argmax(axis=1).tolist() == nearest
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_the_score_of_two_classes_is_ordered_as_the_difference_of_the_distances() -> None:
    prompts = SUPPORT[:2]
    difference = [euclidean(slide, prompts[0]) - euclidean(slide, prompts[1]) for slide in SLIDES]
    assert np.argsort(class_scores(SLIDES, prompts)[:, 1]).tolist() == np.argsort(difference).tolist()


def test_slides_that_all_fall_to_one_prompt_are_told_with_the_distances_and_the_reason() -> None:
    aside, away = SLIDES + np.array([0, 0, 0, 4]), SLIDES + np.array([0, 0, 0, 40])
    alike = one_sided(away, np.array([[0, 0, 0, 0.0], [0, 0, 0, -0.5]]), ("wild type", "mutated"))
    assert alike.startswith("All 10 slides are nearest to the prompt of wild type: the prompts are too alike")
    far = [euclidean(slide, np.zeros(4)) for slide in away]
    assert f"Prompts lie at most 0.5 apart; half of the slides lie {np.median(far):.3g} and more" in alike
    said = one_sided(aside, np.array([[0, 0, 0, 4.0], [0, 0, 0, -9]]), ("wild type", "mutated"))
    assert "all slides lie to one side" in said
    assert one_sided(SLIDES, np.array([[1, 0, 0, 0.0], [-1, 0, 0, 0]]), ("wild type", "mutated")) == ""


def test_survival_prompts_are_the_quarters_with_the_shortest_and_longest_times_among_those_with_an_event() -> None:
    times, events = RNG.permutation(24) + 1.0, np.arange(24) % 2 == 0
    order = sorted((times[row], row) for row in range(24) if events[row])
    high, low = ([row for _, row in part] for part in (order[:3], order[-3:]))
    prompts = risk_prompts(SUPPORT, times, events)
    np.testing.assert_allclose(prompts, [SUPPORT[high].mean(axis=0), SUPPORT[low].mean(axis=0)])
    expected = [euclidean(slide, prompts[1]) - euclidean(slide, prompts[0]) for slide in SLIDES]
    np.testing.assert_allclose(prompted_risks(SLIDES, prompts), expected)


def test_a_slide_at_the_high_risk_prompt_has_the_higher_risk_and_the_papers_formula_says_the_opposite() -> None:
    prompts = np.array([[1.0, 0.0], [0.0, 1.0]])
    at_high, at_low = prompted_risks(prompts, prompts)
    assert at_high > 0 > at_low
    np.testing.assert_allclose(prompted_risks(prompts, prompts, as_written=True), [-at_high, -at_low])


def test_a_class_without_patients_and_a_support_set_without_events_are_refused() -> None:
    with pytest.raises(UnusableFoldError, match="support set is b"):
        class_prompts(SUPPORT, np.zeros(24, dtype=int), "ab")
    with pytest.raises(UnusableFoldError, match="all 24 support cases are censored"):
        risk_prompts(SUPPORT, np.ones(24), np.zeros(24, dtype=bool))
    with pytest.raises(UnusableFoldError, match="one patient"):
        risk_prompts(SUPPORT, np.ones(24), np.arange(24) == 3)
    with pytest.raises(SettingsError, match="at most a half"):
        risk_prompts(SUPPORT, np.ones(24), np.ones(24, dtype=bool), share=0.7)
