"""``pathlupi predict``."""

import argparse
import sys
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
    tell,
)
from napari_pathlupi.commands._features import add_feature_options, predict_from_features
from napari_pathlupi.core.progress import CancelFlag
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import SettingsError, SlideError, TableError
from napari_pathlupi.workflows.prediction.predict import PredictConfig

if TYPE_CHECKING:
    from napari_pathlupi.bundle import Bundle


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slides", nargs="*", metavar="SLIDE")
    parser.add_argument("--features", nargs="+", default=[], metavar="FILE", help="predict from these, read no pixel")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", default="demo", help="name of a model, or a folder: ours or WSInfer's")
    parser.add_argument("--also", nargs="+", default=[], metavar="EXPORT", help="files that are large: tiles-geojson")
    parser.add_argument("--regions", type=Path, help="GeoJSON from QuPath or napari: predict inside it only")
    tissue_words = "GeoJSON of `pathlupi tissue`, QuPath or TRIDENT: that is the tissue; or a folder of SLIDE.geojson"
    parser.add_argument("--tissue", type=Path, help=tissue_words)
    add_slide_options(parser)
    add_settings(parser, PredictConfig)
    add_feature_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.catalogue import exports

    _must_be_one_kind(chosen)
    must_be_writable(chosen.out)
    for name in chosen.also:
        exports[name]  # says what there is
    if chosen.features:
        predict_from_features(chosen)
    else:
        _predict_on_slides(chosen)
    print(RESEARCH_USE_ONLY)


def _must_be_one_kind(chosen: argparse.Namespace) -> None:
    if bool(chosen.slides) == bool(chosen.features):
        raise SettingsError("Name slides, or files with --features and their slide with --slide: one of the two.")
    if chosen.features and chosen.regions:
        raise SettingsError("--features predicts on all its tiles: leave out --regions, or predict on the slide.")


def _predict_on_slides(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.prediction.classify_tiles import load_model

    bundle, config = load_model(chosen.model), settings(PredictConfig, chosen)
    lost = []
    with interruptible() as cancel:
        for place in chosen.slides:
            try:
                _predict_one(place, bundle, config, chosen, cancel)
            except SlideError as error:  # the other slides are none the worse for it
                if len(chosen.slides) == 1:
                    raise
                print(f"pathlupi: {error}", file=sys.stderr)
                lost.append(place)
            if cancel:
                break
    if lost:
        print(RESEARCH_USE_ONLY)
        raise SlideError(
            f"{len(lost)} of {len(chosen.slides)} slides have no result, as told above: {', '.join(lost)}."
        )


def _predict_one(
    place: str, bundle: "Bundle", config: PredictConfig, chosen: argparse.Namespace, cancel: CancelFlag
) -> None:
    from napari_pathlupi.export.geojson import read_regions
    from napari_pathlupi.workflows.embedding.tile import read_tissue_of
    from napari_pathlupi.workflows.prediction.predict import predict_steps
    from napari_pathlupi.workflows.save import save_prediction

    slide, scale_note = opened(place, chosen)
    with slide:
        regions = _areas(read_regions(chosen.regions, slide.frame), chosen.regions) if chosen.regions else []
        tissue = read_tissue_of(slide, chosen.tissue) if chosen.tissue else None
        prediction = show(predict_steps(slide, bundle, config, regions, cancel, tissue), slide.path.name)
        files = save_prediction(prediction, slide.frame, chosen.out, chosen.also)
    tell(prediction, scale_note, files)


def _areas(regions: Sequence[Any], file: Path) -> list[Any]:
    areas = [region.geometry for region in regions if region.geometry.area > 0]
    if not areas:
        raise TableError(f"{file.name} holds no area to predict in ({len(regions)} points or lines): outline one.")
    return areas


COMMAND = Command("predict on slides and write answer, map, tiles, regions, report", _arguments, _run)
