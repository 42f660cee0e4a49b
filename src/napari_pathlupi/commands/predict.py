"""``pathlupi predict``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathlupi.commands._command import (
    Command,
    add_settings,
    add_slide_options,
    interruptible,
    must_be_writable,
    opened,
    settings,
    show,
)
from napari_pathlupi.core.progress import CancelFlag
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import TableError
from napari_pathlupi.workflows.predict import PredictConfig

if TYPE_CHECKING:
    from napari_pathlupi.bundle import Bundle


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slides", nargs="+", metavar="SLIDE")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="demo", help="name of a model, or a folder: ours or WSInfer's")
    parser.add_argument("--also", nargs="+", default=[], metavar="EXPORT", help="files that are large: tiles-geojson")
    parser.add_argument("--regions", type=Path, help="GeoJSON from QuPath or napari: predict inside it only")
    add_slide_options(parser)
    add_settings(parser, PredictConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.catalogue import exports
    from napari_pathlupi.workflows.classify_tiles import load_model

    must_be_writable(chosen.out)
    for name in chosen.also:
        exports[name]  # says what there is
    bundle, config = load_model(chosen.model), settings(PredictConfig, chosen)
    with interruptible() as cancel:
        for place in chosen.slides:
            _predict_one(place, bundle, config, chosen, cancel)
            if cancel:
                break
    print(RESEARCH_USE_ONLY)


def _predict_one(
    place: str, bundle: "Bundle", config: PredictConfig, chosen: argparse.Namespace, cancel: CancelFlag
) -> None:
    from napari_pathlupi.export.geojson import read_regions
    from napari_pathlupi.workflows.predict import predict_steps
    from napari_pathlupi.workflows.save import save_prediction

    slide, scale_note = opened(place, chosen)
    with slide:
        regions = _areas(read_regions(chosen.regions, slide.frame), chosen.regions) if chosen.regions else []
        prediction = show(predict_steps(slide, bundle, config, regions, cancel), slide.path.name)
        files = save_prediction(prediction, slide.frame, chosen.out, chosen.also)
    print(f"{slide.path.name}: {prediction.words}")
    if not (prediction.reference.supported and prediction.reference.known):
        print(f"  {prediction.reference}")
    for row in prediction.answer.rows():
        print(f"  {row.label:<24} {row.text:>8}")
    for note in (*prediction.notes, *[scale_note] * bool(scale_note)):
        print(f"  {note}")
    print(f"  {', '.join(file.name for file in files)} in {chosen.out}")


def _areas(regions: Sequence[Any], file: Path) -> list[Any]:
    areas = [region.geometry for region in regions if region.geometry.area > 0]
    if not areas:
        raise TableError(f"{file.name} holds no area to predict in ({len(regions)} points or lines): outline one.")
    return areas


COMMAND = Command("predict on slides and write answer, map, tiles, regions, report", _arguments, _run)
