from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_pathlupi.core.progress import Progress
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui


def test_a_slide_that_napari_opened_has_its_scale_bar(window: Any, small_slide: Path) -> None:
    window.viewer.open(small_slide, plugin="napari-pathlupi")
    assert window.viewer.canvas.overlays.scale_bar.visible


def test_a_small_picture_is_a_slide_where_that_is_asked_by_name_and_a_picture_otherwise(
    window: Any, tmp_path: Path
) -> None:
    for name in ("flat.tif", "picture.png", "picture.jpg"):
        imageio.imwrite(tmp_path / name, np.zeros((40, 50, 3), np.uint8))
        (slide,) = window.viewer.open(tmp_path / name, plugin="napari-pathlupi")
        (picture,) = window.viewer.open(tmp_path / name)
        assert facts_of(slide)["kind"] == "slide" and not facts_of(picture)


def test_a_large_image_without_a_pyramid_is_opened_as_a_slide_instead(
    window: Any, small_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_pathlupi.widgets import _viewer

    monkeypatch.setattr(_viewer, "PLAIN_IMAGE_AT_LEAST_PX", 1000)
    window.viewer.open(small_slide, plugin="napari")
    assert "without a pyramid" in window.panel.predict_row.sentence.text()
    window.panel.predict_row.hint_taken.emit("reopen")
    assert window.kinds() == ["slide"]


def test_the_demo_slide_is_a_sample_made_into_the_users_cache(
    window: Any, addressed_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(folder: Path) -> Any:
        assert folder.is_relative_to(tmp_path)
        yield Progress("Painting", 1, 2)
        return addressed_slide

    monkeypatch.setenv("PATHLUPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("napari_pathlupi.workflows.demo.demo_slide_steps", steps)
    window.viewer.open_sample("napari-pathlupi", "demo_slide")
    assert window.kinds() == ["slide"]


def test_a_slide_of_unknown_scale_is_asked_for_and_then_lies_in_um(window: Any, shared_data: Path) -> None:
    panel = window.panel
    panel.open_slides([shared_data / "wsi/kidney-48-5_flat.tif"])
    slide = window.viewer.layers[0]
    if panel.slide.frame.mpp is not None:
        pytest.skip("this slide states its scale")
    assert "how large a pixel is" in panel.predict_row.sentence.text()
    assert not panel.predict_row.predict.isEnabled()
    panel.predict_row.hint_taken.emit("mpp:0.5")
    assert slide.scale == pytest.approx((0.5, 0.5))
    window.until(lambda: panel.predict_row.predict.isEnabled() or bool(panel.session.facts.problem))


def test_a_fluorescence_slide_is_refused_in_one_sentence(window: Any, shared_data: Path) -> None:
    panel = window.panel
    panel.open_slides([shared_data / "wsi/test3-DAPI-2-(387).ndpi"])
    if panel.slide.frame.mpp is None:
        panel.state_mpp(0.5)
    window.until(lambda: "fluorescence" in panel.predict_row.sentence.text())
    assert panel.predict_row.sentence.text().startswith("test3-DAPI")
    assert not panel.predict_row.predict.isEnabled()


def test_one_slide_is_in_view_at_a_time(window: Any, small_slide: Path, addressed_slide: Path) -> None:
    layers = window.viewer.layers
    window.panel.open_slides([small_slide])
    window.panel.open_slides([addressed_slide])
    assert [layer.visible for layer in layers] == [False, True]
    window.panel.slide_row.chosen.emit(window.panel.canvas.slides().index(facts_of(layers[0])["slide"]))
    assert [layer.visible for layer in layers] == [True, False]
    assert window.panel.session.facts.slide == small_slide.name


def test_a_damaged_slide_is_a_notification_and_no_layer(window: Any, shared_data: Path) -> None:
    from napari.utils.notifications import notification_manager

    window.panel.open_slides([shared_data / "wsi/broken.svs"])
    assert window.kinds() == []
    assert "broken.svs" in notification_manager.records[-1].message
