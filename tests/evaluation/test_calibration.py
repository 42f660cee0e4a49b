import json

import numpy as np
import pytest
import torch

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.evaluation.calibration import calibrated_classes, conformal_quantile
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.tasks.cox import Cox
from napari_pathlupi.tasks.multilabel import Multilabel
from napari_pathlupi.tasks.regression import Regression
from napari_pathlupi.tasks.survival import Survival
from napari_pathlupi.workflows.training.calibrate import calibrate, with_coverage

ABC = Classification(["A", "B", "C"])


def cases(count: int, seed: int, sureness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs whose softmax is the truth when they are divided by ``sureness``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 1.5 + [0.5, 0, -0.5]
    chances = torch.from_numpy(logits).softmax(1).numpy()
    labels = (rng.random(count)[:, None] > chances.cumsum(1)).sum(1).clip(0, 2)
    return logits * sureness, labels[:, None].astype(np.float64)


@pytest.mark.parametrize("sureness", [0.6, 1.0, 3.0])
def test_the_temperature_undoes_what_makes_a_model_too_sure_or_unsure(sureness):
    assert calibrate(ABC, *cases(4000, 1, sureness)).temperature == pytest.approx(sureness, rel=0.1)


@pytest.mark.parametrize("margin", [0.3, 2.0, 10.0])
def test_cases_that_are_told_apart_without_an_error_do_not_make_a_model_as_sure_as_one_likes(margin):
    for count in (7, 100):
        labels = np.arange(count) % 2
        logits = margin * (2 * labels - 1)
        apart = np.stack([-logits, logits], axis=1) / 2
        one = calibrate(Classification(["A", "B"]), apart, labels[:, None].astype(float))
        several = calibrate(Multilabel(["A"]), logits[:, None], labels[:, None].astype(float))
        for told in (one, several):
            surest = 1 / (1 + np.exp(-margin / told.temperature))
            assert told.temperature >= 1 or count > 7
            assert surest <= max(51 / 52 + 1e-4, 1 / (1 + np.exp(-margin)) * (count < 50))
    assert told.temperature < 1 or margin > 1  # many cases may make it surer


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_sets_hold_the_truth_as_often_as_they_say(level):
    told = calibrate(ABC, *cases(1000, 2), level)
    tested = with_coverage(ABC, told, *cases(4000, 3))
    assert tested.coverage == pytest.approx(level, abs=0.025)
    assert tested.coverage_cases == 4000


def test_class_conditional_sets_hold_the_rare_class_as_often_too():
    told = calibrate(ABC, *cases(3000, 4), 0.9, per_class=True)
    outputs, wanted = cases(6000, 5)
    for label in range(3):
        only = wanted[:, 0] == label
        assert with_coverage(ABC, told, outputs[only], wanted[only]).coverage == pytest.approx(0.9, abs=0.035)


def test_the_threshold_is_the_finite_sample_quantile_and_too_few_cases_rule_nothing_out():
    scores = np.arange(1, 20) / 100
    assert conformal_quantile(scores, 0.9) == 0.18  # ceil(20 * 0.9) = 18
    assert conformal_quantile(scores[:8], 0.9) == np.inf
    few = calibrate(ABC, *cases(8, 6))
    assert few.thresholds == (1.0,)
    assert len(few.plausible((0.98, 0.01, 0.01))) == 3


def test_cases_without_a_label_change_nothing():
    outputs, wanted = cases(100, 7)
    more = np.concatenate([wanted, [[np.nan]] * 5])
    assert calibrate(ABC, np.concatenate([outputs, outputs[:5]]), more) == calibrate(ABC, outputs, wanted)
    with pytest.raises(MismatchError, match="no validation case is labelled"):
        calibrated_classes(outputs, wanted[:, 0] * np.nan)


def test_intervals_of_values_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(8)
    task = Regression(["Purity"], "%", [50.0], [10.0], [0.0], [100.0])
    outputs = rng.normal(size=(3000, 1))
    wanted = 50 + 10 * outputs + rng.normal(size=outputs.shape) * 4
    told = with_coverage(task, calibrate(task, outputs[:1000], wanted[:1000]), outputs[1000:], wanted[1000:])
    assert told.coverage == pytest.approx(0.9, abs=0.025)
    assert told.thresholds[0] == pytest.approx(1.645 * 4, rel=0.1)
    answer = task.answer(torch.tensor([0.0]), told)
    assert answer.remark.startswith("90 % interval: 43.") and answer.remark.endswith(" %.")


def test_labels_get_a_temperature_and_risks_a_place_among_cases():
    rng = np.random.default_rng(9)
    truth = rng.normal(size=(4000, 2))
    wanted = (rng.random(truth.shape) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    assert calibrate(Multilabel(["A", "B"]), 2 * truth, wanted).temperature == pytest.approx(2, rel=0.12)
    times = np.stack([np.full(200, 5.0), np.ones(200)], axis=1)
    outputs = rng.normal(size=(200, 1))
    told = calibrate(Cox(), outputs, times)
    assert Cox().answer(torch.tensor(np.median(outputs, axis=0)), told).below == pytest.approx(0.5, abs=0.02)
    curve = Survival(times=[1, 2, 3, 4])
    told = calibrate(curve, rng.normal(size=(50, 4)), times[:50])
    assert 0.2 < curve.answer(torch.zeros(4), told).below < 0.8


def labelled(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and truth of a common and a rare label, of which the outputs tell a little; a tenth is unknown."""
    rng = np.random.default_rng(seed)
    wanted = (rng.random((count, 2)) < [0.4, 0.1]).astype(np.float64)
    outputs = 2 * wanted - [1.0, 2.5] + rng.normal(size=wanted.shape)
    wanted[rng.random(wanted.shape) < 0.1] = np.nan
    return outputs, wanted


@pytest.mark.parametrize("per_class", [False, True])
def test_the_set_of_a_label_holds_the_truth_as_often_as_it_says(per_class: bool):
    task = Multilabel(["common", "rare"])
    told = calibrate(task, *labelled(3000, 11), 0.9, per_class)
    outputs, wanted = labelled(6000, 12)
    assert 0.885 < with_coverage(task, told, outputs, wanted).coverage < 0.95  # the more probable always belongs to it
    for k in range(2):
        for truth in (0, 1) if per_class else ():
            only = np.full_like(wanted, np.nan)
            only[wanted[:, k] == truth, k] = truth
            assert with_coverage(task, told, outputs, only).coverage > 0.87


def test_the_threshold_of_a_label_is_that_of_two_classes_counted_by_hand():
    told = calibrate(Multilabel(["A"]), np.linspace(-3, 3, 60)[:, None], np.tile([0.0, 1.0, 1.0], 20)[:, None])
    yes = 1 / (1 + np.exp(-np.linspace(-3, 3, 60) / told.temperature))
    scores = np.sort(np.where(np.tile([0, 1, 1], 20) == 1, 1 - yes, yes))
    assert told.thresholds == pytest.approx((scores[int(np.ceil(61 * 0.9)) - 1],))


def test_a_label_that_may_be_both_is_said_to_be_undecided_and_is_written_so():
    task, told = Multilabel(["TP53", "CDH1", "APC"]), Calibration(80, thresholds=(0.7, 0.2, 1.0))
    answer = task.answer(torch.tensor([0.2, -0.1, -6.0]), told)
    assert answer.possible == ((True, True), (True, False), (True, True))
    assert answer.doubt == "not sure of TP53 or APC (90 % sets)"
    assert answer.columns()["set_TP53"] == "yes|no" and answer.columns()["set_CDH1"] == "no"
    assert answer.as_dict()["sets"] == {"TP53": "yes|no", "CDH1": "no", "APC": "yes|no"}
    assert task.answer(torch.tensor([0.2, -0.1, -6.0])).columns().keys() == {"prob_TP53", "prob_CDH1", "prob_APC"}
    sure = task.answer(torch.zeros(3), Calibration(80, thresholds=(0.2, 0.2, 0.2)))
    assert sure.remark == "90 % sets: no label is left open."
    with pytest.raises(MismatchError, match="2 thresholds are calibrated for 3 labels"):
        task.answer(torch.zeros(3), Calibration(9, thresholds=(0.5, 0.5)))


def test_it_travels_in_a_card_as_json():
    told = calibrate(ABC, *cases(100, 10), 0.9, per_class=True)
    assert Calibration.of(json.loads(json.dumps(told.as_dict(), allow_nan=False))) == told
    with pytest.raises(ValueError, match="a temperature above 0"):
        Calibration(3, temperature=0.0)
    with pytest.raises(ValueError, match="ascending risks"):
        Calibration(3, risks=(1.0, 0.0))


def test_the_calibration_of_another_model_is_refused():
    with pytest.raises(MismatchError, match="2 classes are calibrated, the model has 3"):
        ABC.answer(torch.zeros(3), Calibration(9, thresholds=(0.5, 0.5)))
    with pytest.raises(MismatchError, match="2 intervals"):
        Regression(["A"], "", [0], [1], [0], [1]).answer(torch.zeros(1), Calibration(9, thresholds=(0.5, 0.5)))
