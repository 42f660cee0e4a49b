import pytest
import torch

from napari_pathlupi.tasks.classification import PALETTE, Classification


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
