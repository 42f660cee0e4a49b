from dataclasses import replace

import pytest

from napari_pathlupi.core.progress import Progress
from napari_pathlupi.panel_state import (
    Extent,
    Facts,
    Phase,
    advice_on_encoder,
    advice_on_loading,
    duration,
    progress_words,
    resolve,
)
from napari_pathlupi.patch_encoders._encoder import Readiness, State

READY = Facts(slide="case-017.svs", model="Demo model", plan="8,412 tiles of 512 px at 0.5 µm/px · CUDA")


def test_with_a_slide_a_model_and_a_plan_predict_is_live_and_says_what_will_happen() -> None:
    state = resolve(READY)
    assert state.can_predict and not state.can_cancel and not state.warning
    assert state.sentence == READY.plan


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(), "Open a slide to begin"),
        (Facts(plain_image="scan.tif"), "without a pyramid"),
        (replace(READY, mpp_known=False), "does not say how large a pixel is"),
        (replace(READY, model="", model_problem="weights.safetensors was changed: copy it again."), "copy it again"),
        (replace(READY, model=""), "Choose a model"),
        (replace(READY, extent=Extent.REGIONS), "No region is drawn"),
        (replace(READY, extent=Extent.VIEW, plan=""), "The slide is out of view"),
        (replace(READY, plan="", problem="The model reads 0.5 µm/px; this slide stops at 1.9."), "stops at 1.9"),
        (replace(READY, plan="", problem="No tissue was found (glass 96 %)."), "No tissue"),
        (replace(READY, plan="", problem="It looks like fluorescence."), "fluorescence"),
        (replace(READY, plan=""), "Looking for tissue"),
    ],
)
def test_what_is_in_the_way_is_said_and_predict_is_off(facts: Facts, words: str) -> None:
    state = resolve(facts)
    assert not state.can_predict
    assert words in state.sentence


def test_an_unknown_scale_is_asked_for_with_two_usual_answers_and_a_free_one() -> None:
    assert [hint.action for hint in resolve(replace(READY, mpp_known=False)).hints] == ["mpp:0.5", "mpp:0.25", "mpp:"]


def test_a_plain_image_can_be_opened_as_a_slide() -> None:
    assert [hint.action for hint in resolve(Facts(plain_image="scan.tif")).hints] == ["reopen"]


def test_while_running_only_cancel_is_live() -> None:
    state = resolve(replace(READY, phase=Phase.RUNNING, progress=Progress("Reading", 63, 100), tiles_per_s=31.5))
    assert (state.can_predict, state.can_cancel) == (False, True)
    assert state.sentence == "Reading 63 % · 32 tiles/s · 1 s left"


def test_while_stopping_nothing_is_live() -> None:
    state = resolve(replace(READY, phase=Phase.CANCELLING))
    assert (state.can_predict, state.can_cancel) == (False, False)
    assert "after this batch" in state.sentence


def test_how_the_last_run_ended_is_said_until_something_is_in_the_way() -> None:
    ended = replace(READY, notice="Stopped at 63 %: the map shows what was read.")
    assert resolve(ended).sentence.startswith("Stopped at 63 %")
    assert resolve(ended).can_predict
    assert "how large a pixel" in resolve(replace(ended, mpp_known=False)).sentence


def test_loading_in_the_background_is_spoken_of_with_a_slide_and_until_it_is_hidden() -> None:
    assert advice_on_loading(False, on=False, offered=True) is None
    assert advice_on_loading(True, on=False, offered=False) is None
    off, on = (advice_on_loading(True, on=on, offered=True) for on in (False, True))
    assert off is not None and [hint.action for hint in off.hints] == ["background:on", "background:hide"]
    assert on is not None and [hint.action for hint in on.hints] == ["background:off", "background:hide"]


def test_before_the_first_tile_there_is_no_speed() -> None:
    assert progress_words(None, 0.0) == "Starting …"
    assert progress_words(Progress("Looking for tissue", 0, 0), 1.0) == "Looking for tissue …"
    assert progress_words(Progress("Reading", 0, 10), 0.0) == "Reading 0 %"


def test_what_happened_on_the_way_is_shown_below_the_progress() -> None:
    words = progress_words(Progress("Reading", 5, 10, message="The GPU ran out of memory at 64 tiles a batch."), 1.0)
    assert words.splitlines()[1].startswith("The GPU ran out of memory")


@pytest.mark.parametrize(("seconds", "words"), [(4.2, "4 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")])
def test_a_duration_is_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("state", State)
def test_an_encoder_that_cannot_be_used_says_why_and_one_that_can_says_nothing(state: State) -> None:
    readiness = Readiness(state, "Its weights are elsewhere.", "https://example.org")
    advice = advice_on_encoder("UNI", readiness)
    assert (advice is None) == readiness.usable
    if advice is not None:
        assert advice.sentence == "UNI: Its weights are elsewhere."
        assert all(hint.action.startswith("encoder:") for hint in advice.hints)
        assert bool(advice.hints) == (state is not State.NEEDS_EXTRA)
