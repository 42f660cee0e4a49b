"""The answer for the whole slide, and where it comes from, for other programs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import RESEARCH_USE_ONLY, Prediction
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import write_whole


def summary(prediction: Prediction) -> dict[str, Any]:
    """Return all that is known of the slide as a whole, as strict JSON values: what is no finite number is null."""
    reference = prediction.reference
    values: dict[str, Any] = _json_value(
        {
            "notice": RESEARCH_USE_ONLY,
            "answer": prediction.answer.as_dict(),
            "words": prediction.words,
            "partial": prediction.partial,
            "notes": prediction.notes,
            "tiles": {"asked": len(prediction.grid), "read": int(prediction.read.sum())},
            "reference_check": {
                "supported": reference.supported,
                "distance": reference.distance,
                "limit": reference.limit,
                "words": str(reference),
            },
            "evidence_method": prediction.evidence.method,
            "gene_set_activity": prediction.activity,
            "gene_set_maps": _gene_sets(prediction),
            "provenance": prediction.provenance.as_dict(),
        }
    )
    return values


def _gene_sets(prediction: Prediction) -> dict[str, Any]:
    """What was claimed where it was mapped; the maps themselves are in the table and the picture of the tiles."""
    maps = prediction.gene_sets.maps if prediction.gene_sets else {}
    return {
        name: {
            "words": made.words,
            "method": made.method,
            "activity_of_folds": made.claims,
            "agreement_of_folds": made.agreement,
        }
        for name, made in maps.items()
    }


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(part) for part in value]
    if isinstance(value, np.generic | np.ndarray):
        return _json_value(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    write_whole(path, json.dumps(summary(prediction), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


EXPORT = Export("Answer and provenance", ".json", _write)
