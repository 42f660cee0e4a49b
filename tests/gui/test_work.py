import logging
import sys
import threading
from typing import Any

import pytest

from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.errors import Cancelled, InferenceError, SlideError
from napari_pathlupi.widgets._work import Work, at_once

pytestmark = pytest.mark.gui


def end_of(steps: Any, qtbot: Any) -> Any:
    outcomes: list[Any] = []
    Work(steps, "work").ended.connect(outcomes.append)
    qtbot.waitUntil(lambda: bool(outcomes), timeout=5000)
    return outcomes[0]


def failing(error: Exception) -> Any:
    def steps() -> Steps[None]:
        yield Progress("Reading", 0, 1)
        raise error

    return steps


@pytest.mark.parametrize("error", [ZeroDivisionError("by nought"), RuntimeError("no kernel")])
def test_a_fault_of_ours_is_one_sentence_and_its_traceback_is_logged(
    error: Exception, qtbot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = end_of(failing(error), qtbot)
    assert isinstance(outcome, InferenceError)
    assert str(error) in str(outcome)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name == "napari_pathlupi.widgets._work"
    assert record.exc_info is not None and record.exc_info[1] is error


def test_work_that_is_asked_to_quit_in_its_last_step_ends_as_well(qtbot: Any) -> None:
    last_step = threading.Event()

    def steps() -> Steps[str]:
        yield Progress("Reading", 0, 1)
        last_step.wait(5)
        return "a result that napari drops"

    outcomes: list[Any] = []
    work = Work(steps, "work")
    work.ended.connect(outcomes.append)
    work._worker.quit()
    last_step.set()
    qtbot.waitUntil(lambda: bool(outcomes), timeout=5000)
    assert isinstance(outcomes[0], Cancelled)
    assert not Work._going_on


def test_what_a_user_can_be_told_is_no_fault(qtbot: Any, caplog: pytest.LogCaptureFixture) -> None:
    error = SlideError("a.svs is empty.")
    assert end_of(failing(error), qtbot) is error
    assert not caplog.records


def test_threads_take_shorter_turns_only_while_work_goes_on(qtbot: Any) -> None:
    usual = sys.getswitchinterval()
    assert end_of(at_once(sys.getswitchinterval), qtbot) < usual / 2
    assert sys.getswitchinterval() == usual
