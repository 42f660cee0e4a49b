"""What the button does."""

import json
from dataclasses import replace

import numpy as np
import pytest
from shapely import box

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.core.progress import CancelFlag, Progress, run
from napari_pathlupi.errors import Cancelled, DamagedTileError, MismatchError, SettingsError, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.slides._choice import Choice
from napari_pathlupi.workflows.prediction import predict as predict_module
from napari_pathlupi.workflows.prediction.predict import PredictConfig, plan, planned_steps, predict, predict_steps
from napari_pathlupi.workflows.save import save_prediction


def test_answer_and_map_come_from_one_pass(tissue_slide: Slide, small_bundle: Bundle) -> None:
    prediction = predict(tissue_slide, small_bundle)
    assert not prediction.partial
    assert prediction.attention.sum() == pytest.approx(1, abs=1e-5)
    probabilities = np.array(prediction.answer.probabilities)
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble

    bias = Ensemble.from_bundle(small_bundle).models[0].head.bias.detach().numpy()
    logits = prediction.evidence.values.sum(0) + bias
    assert np.allclose(np.exp(logits) / np.exp(logits).sum(), probabilities, atol=1e-4)


def test_another_choice_than_the_default_stands_in_the_provenance(tissue_slide, small_bundle, monkeypatch) -> None:
    default = predict(tissue_slide, small_bundle).provenance.settings
    assert not {"plane", "scene", "colour"} & default.keys()
    monkeypatch.setattr(tissue_slide, "choice", Choice(plane=2, colour="srgb"))
    assert predict(tissue_slide, small_bundle).provenance.settings == {**default, "plane": 2, "colour": "srgb"}


def test_predicting_twice_gives_the_same(tissue_slide: Slide, small_bundle: Bundle) -> None:
    first, second = (predict(tissue_slide, small_bundle, PredictConfig(batch_size=b)) for b in (3, 8))
    assert np.allclose(first.attention, second.attention, atol=1e-6)
    assert np.allclose(first.answer.probabilities, second.answer.probabilities, atol=1e-5)


def test_the_provenance_says_where_the_time_went(tissue_slide: Slide, small_bundle: Bundle) -> None:
    told: list[Progress] = []
    prediction = run(predict_steps(tissue_slide, small_bundle), told.append)
    timing = prediction.provenance.timing
    assert timing["tiles_per_s"] > 0
    assert timing["device_s"] + timing["wait_s"] <= timing["elapsed_s"] + 0.01
    assert told[-1].timing is not None
    assert told[-1].timing.left_s == 0


def test_provisional_predictions_grow_into_the_last(tissue_slide, small_bundle, monkeypatch) -> None:
    monkeypatch.setattr(predict_module, "SECONDS_BETWEEN_PROVISIONAL", 0.0)
    partials = [
        p.partial.read.sum()
        for p in predict_steps(tissue_slide, small_bundle, PredictConfig(batch_size=4))
        if p.partial
    ]
    assert partials == [4, 8, 12]


def test_reading_from_the_middle_of_the_view_outwards_changes_the_order_and_no_result(
    tissue_slide, small_bundle
) -> None:
    config = PredictConfig(batch_size=4)
    what = plan(tissue_slide, small_bundle, config)
    outwards = replace(what, order=what.grid.outwards_from((1000.0, 1200.0)))
    first, second = (run(planned_steps(tissue_slide, small_bundle, config, w)) for w in (what, outwards))
    np.testing.assert_array_equal(first.attention, second.attention)
    cancel = CancelFlag()
    steps = planned_steps(tissue_slide, small_bundle, config, outwards, cancel)
    partial = run(steps, lambda progress: cancel.set() if progress.done else None)
    assert partial.read[-1] and not partial.read[0]


def test_cancelling_keeps_what_was_read_and_says_partial(tissue_slide: Slide, small_bundle: Bundle) -> None:
    cancel = CancelFlag()
    steps = predict_steps(tissue_slide, small_bundle, PredictConfig(batch_size=4), cancel=cancel)

    def stop_at_the_first_batch(progress) -> None:
        if progress.done:
            cancel.set()

    prediction = run(steps, stop_at_the_first_batch)
    assert prediction.partial
    assert prediction.read.sum() in (4, 8)
    assert np.nansum(prediction.attention) == pytest.approx(1, abs=1e-5)
    assert np.isnan(prediction.evidence.values[~prediction.read]).all()
    assert "provisional" in prediction.words or "not supported" in prediction.words


def test_cancelling_at_once_is_no_result(tissue_slide: Slide, small_bundle: Bundle, monkeypatch) -> None:
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(Cancelled):
        run(predict_steps(tissue_slide, small_bundle, cancel=cancel))


def test_a_region_is_all_that_is_read(tissue_slide: Slide, small_bundle: Bundle) -> None:
    prediction = predict(tissue_slide, small_bundle, regions=[box(256, 256, 768, 512)])
    assert prediction.grid.cells.tolist() == [[1, 1], [1, 2]]


def fail_in(monkeypatch, slide: Slide, where, error: type[SlideError] = DamagedTileError) -> None:
    read = slide.read_scaled

    def read_or_fail(origin, shape, scale):
        if where(origin):
            raise error("check the drive")
        return read(origin, shape, scale)

    monkeypatch.setattr(slide, "read_scaled", read_or_fail)


def test_a_slide_that_is_lost_on_the_way_is_no_answer_from_what_was_read(
    tissue_slide: Slide, small_bundle: Bundle, monkeypatch
) -> None:
    fail_in(monkeypatch, tissue_slide, lambda origin: origin[0] > 256, SlideError)
    with pytest.raises(SlideError, match="check the drive"):
        predict(tissue_slide, small_bundle)


def test_one_broken_tile_is_left_out_and_told(tissue_slide: Slide, small_bundle: Bundle, monkeypatch) -> None:
    fail_in(monkeypatch, tissue_slide, lambda origin: origin == (256.0, 512.0))
    prediction = predict(tissue_slide, small_bundle)
    assert prediction.notes == ("1 of 12 tiles could not be decoded: left out and marked.",)
    assert prediction.read.sum() == 11
    assert not prediction.partial  # all were looked at: nothing more will come


def test_a_slide_of_which_nothing_can_be_decoded_is_an_error(tissue_slide, small_bundle, monkeypatch) -> None:
    fail_in(monkeypatch, tissue_slide, lambda origin: origin != (0.0, 0.0))  # the overview is read at (0, 0)
    with pytest.raises(SlideError, match="none of the 12 tiles"):
        predict(tissue_slide, small_bundle)


def test_a_model_of_another_encoder_version_is_refused_with_both_named(tissue_slide, small_bundle) -> None:
    part = small_bundle.card.patch_encoder.model_copy(update={"version": "0"})
    other = replace(small_bundle, card=small_bundle.card.model_copy(update={"patch_encoder": part}))
    with pytest.raises(MismatchError, match=r"stain-texture \(0\).*stain-texture \(\d\)"):
        plan(tissue_slide, other)


def test_a_model_that_does_not_say_which_weights_it_read_is_used_and_that_is_told(tissue_slide, small_bundle) -> None:
    part = small_bundle.card.patch_encoder.model_copy(update={"version": ""})
    unstated = replace(small_bundle, card=small_bundle.card.model_copy(update={"patch_encoder": part}))
    prediction = predict(tissue_slide, unstated)
    assert prediction.answer == predict(tissue_slide, small_bundle).answer
    assert "does not say with which weights" in " ".join(prediction.notes)


def test_the_plan_says_what_will_happen(tissue_slide: Slide, small_bundle: Bundle) -> None:
    assert plan(tissue_slide, small_bundle).sentence.startswith("12 tiles of 256 px at 0.5 µm/px · ")


def test_results_are_saved_under_new_names_never_overwritten(tissue_slide, small_bundle, tmp_path) -> None:
    prediction = predict(tissue_slide, small_bundle)
    first = save_prediction(prediction, tissue_slide.frame, tmp_path)
    second = save_prediction(prediction, tissue_slide.frame, tmp_path)
    assert not set(first) & set(second)
    assert all(file.stat().st_size for file in first + second)
    answer = json.loads((tmp_path / "tissue.json").read_text())
    assert answer["provenance"]["slide_name"] == "tissue.svs"


@pytest.mark.gpu
def test_cpu_and_gpu_give_the_same_prediction(tissue_slide: Slide, small_bundle: Bundle) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device in this machine")
    cpu, gpu = (predict(tissue_slide, small_bundle, PredictConfig(device=d)) for d in ("cpu", "cuda"))
    assert np.allclose(cpu.attention, gpu.attention, rtol=1e-3, atol=1e-6)
    assert np.allclose(cpu.answer.probabilities, gpu.answer.probabilities, atol=1e-3)


def test_a_share_of_tissue_above_one_is_told() -> None:
    with pytest.raises(SettingsError, match="a share between 0 and 1"):
        PredictConfig(min_coverage=3)
    with pytest.raises(SettingsError, match="give 0"):
        PredictConfig(batch_size=-1)
