"""The plugin's page in napari's preferences, as declared in the manifest."""

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings

from napari_pathlupi.workflows.predict import PredictConfig


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


def export_folder() -> Path | None:
    """Return where exports go without being asked, None to ask."""
    folder = _page().export.folder
    return Path(folder).expanduser() if folder else None
