import pytest
import torch

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.tasks._task import PALETTE
from napari_pathlupi.tasks.classification import Classification


def test_the_answer_is_the_softmax_of_the_outputs():
    answer = Classification(["A", "B", "C"]).answer(torch.tensor([0.0, 2.0, -1.0]))
    assert answer.headline == "B"
    torch.testing.assert_close(torch.tensor(answer.probabilities), torch.tensor([0.0, 2.0, -1.0]).softmax(0))


def test_the_loss_is_the_cross_entropy():
    outputs, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = torch.nn.functional.cross_entropy(outputs, labels)
    wanted = labels[:, None].float()
    torch.testing.assert_close(Classification(["A", "B", "C"]).loss(outputs, wanted), expected)


def test_extreme_outputs_still_give_probabilities():
    answer = Classification(["A", "B"]).answer(torch.tensor([1e4, -1e4]))
    assert answer.probabilities == (1.0, 0.0)


def test_is_built_again_from_its_settings():
    task = Classification(["A", "B"], ["#112233", "#445566"])
    assert Classification(**task.settings()).settings() == task.settings()


def test_every_class_has_a_colour_and_the_first_eight_differ():
    task = Classification([str(i) for i in range(10)])
    assert len(task.colours) == 10
    assert len(set(task.colours[:8])) == len(PALETTE) == 8


@pytest.mark.parametrize("classes", [[], ["A"], ["A", "A"]])
def test_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(ValueError, match="two classes"):
        Classification(classes)


def test_a_colour_too_few_is_refused():
    with pytest.raises(ValueError, match="one colour per class"):
        Classification(["A", "B"], ["#112233"])


def test_balanced_weights_let_every_class_count_alike():
    wanted = torch.tensor([[0.0]] * 9 + [[1.0]])
    task = Classification(["A", "B"], weights="balanced").fitted(wanted.double().numpy())
    assert task.weights == pytest.approx((10 / 18, 10 / 2))
    outputs = torch.tensor([[3.0, 0.0]] * 10)
    alone = Classification(["A", "B"]).loss(outputs[:1], wanted[:1]) + Classification(["A", "B"]).loss(
        outputs[9:], wanted[9:]
    )
    torch.testing.assert_close(task.loss(outputs, wanted), alone / 2)


def test_the_weight_of_a_class_counts_in_a_step_of_one_slide_and_steps_add_up():
    wanted, outputs = (
        torch.tensor([[0.0], [0.0], [0.0], [1.0]]),
        torch.randn(4, 2, generator=torch.Generator().manual_seed(1)),
    )
    task, plain = Classification(["A", "B"], weights=[0.5, 4.0]), Classification(["A", "B"])
    each = [task.loss(outputs[i : i + 1], wanted[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(each[3], 4 * plain.loss(outputs[3:], wanted[3:]))
    torch.testing.assert_close(torch.stack(each).mean(), task.loss(outputs, wanted))


def test_the_answer_says_in_words_what_else_it_may_be():
    told = Calibration(100, temperature=2.0, level=0.9, thresholds=(0.8,))
    outputs = torch.tensor([2.0, 1.8, -5.0])
    answer = Classification(["A", "B", "C"]).answer(outputs, told, torch.stack([outputs, -outputs, outputs]))
    assert answer.doubt == "not sure: A or B (90 % set)"
    assert answer.remark == "Not sure: A or B (90 % set). 2 of 3 folds say A, giving it 3 to 52 %."
    assert answer.columns()["set"] == "A|B"
    torch.testing.assert_close(torch.tensor(answer.probabilities), (outputs / 2).softmax(0))
    sure = Classification(["A", "B", "C"]).answer(torch.tensor([9.0, 0, 0]), told)
    assert (sure.doubt, sure.remark) == ("", "90 % set: A alone.")
    lost = Classification(["A", "B", "C"]).answer(torch.zeros(3), told)
    assert lost.doubt == "not sure: any of the 3 classes (90 % set)"


def test_a_headline_is_never_certain():
    task = Classification(["A", "B"])
    sure = torch.tensor([9.0, 0.0])
    assert task.answer(sure).certainty == "> 99 %"
    assert task.answer(sure, None, torch.stack([sure, sure / 3])).remark.endswith("giving it 95 to > 99 %.")
    assert task.answer(torch.tensor([4.0, 0.0])).certainty == "98 %"
