"""The plugin's page in napari's preferences, as declared in the manifest."""

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings, get_settings

from napari_pathlupi.workflows.prediction.predict import PredictConfig

SETTLE_MS = 250
"""Choices and strokes that follow each other within this time are one change (our choice)."""


def _page() -> Any:
    return get_plugin_settings("napari-pathlupi")


def predict_config() -> PredictConfig:
    """Return how slides are read."""
    chosen = _page().prediction
    return PredictConfig(
        device=str(getattr(chosen.device, "value", chosen.device)),
        batch_size=chosen.batch_size,
        threads=chosen.threads,
        min_coverage=chosen.min_coverage,
    )


def prediction_events() -> Any:
    """Return the emitter that says when `predict_config` has changed."""
    return _page().prediction.events


def loads_in_background() -> bool:
    """Return whether napari loads what it paints in the background."""
    return bool(get_settings().experimental.async_)


def load_in_background(on: bool) -> None:
    """Have napari load in the background from now on, or not; it remembers."""
    get_settings().experimental.async_ = on


def background_events() -> tuple[Any, Any]:
    """Return the emitters that say when napari's loading, or what is said of it, has changed."""
    return get_settings().experimental.events.async_, _page().viewer.events


def offers_background() -> bool:
    """Return whether the panel speaks of loading in the background."""
    return bool(_page().viewer.offer_background)


def stop_offering_background() -> None:
    """Say nothing of loading in the background from now on."""
    _page().viewer.offer_background = False


def export_folder() -> Path | None:
    """Return where exports go without being asked, None to ask."""
    folder = _page().export.folder
    return Path(folder).expanduser() if folder else None
