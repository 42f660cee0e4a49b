"""Interactive analysis of whole-slide images, in napari, from Python and from the command line.

Research use only, not a diagnostic device.

The names below are looked up when first used: importing the package loads no torch, numpy or Qt.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "FeatureBag": "core.features",
    "Heatmap": "core.tiles",
    "Prediction": "core.results",
    "Region": "core.geometry",
    "Slide": "slides",
    "TileGrid": "core.tiles",
    "embed": "workflows.embedding.embed",
    "load_bundle": "bundle",
    "open_slide": "slides",
    "predict": "workflows.prediction.predict",
    "predict_bag": "workflows.prediction.features",
    "read_bag": "interchange._read",
    "tile": "workflows.embedding.tile",
    "train": "workflows.training.train",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
