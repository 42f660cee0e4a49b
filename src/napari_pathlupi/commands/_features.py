"""What commands on features of other software need: their flags, and prediction from them."""

import argparse
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

from napari_pathlupi.commands._command import flag_words, opened, tell
from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.interchange._told import Stated


def add_feature_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what a file of features does not; the slide and its --mpp have their own."""
    add_stated_options(parser, but=("mpp",))
    parser.add_argument("--slide", default="", help="of --features: the slide that they were made from, if it is there")


def add_stated_options(parser: argparse.ArgumentParser, but: Collection[str] = ()) -> None:
    """Add a flag for each thing that files of features may not say, where the command names no single slide."""
    group = parser.add_argument_group("features of other software", "what their files do not say")
    texts = field_texts(Stated)
    for field in fields(Stated):
        kind = float if field.name == "mpp" else type(field.default)
        flag = f"--{field.name.replace('_', '-')}"
        if field.name not in but:
            group.add_argument(flag, type=kind, default=field.default, help=flag_words(texts[field.name]))


def stated_by(chosen: argparse.Namespace, but: Collection[str] = ()) -> Stated:
    """Return what the flags say."""
    return Stated(**{field.name: getattr(chosen, field.name) for field in fields(Stated) if field.name not in but})


def predict_from_features(chosen: argparse.Namespace) -> None:
    """Predict from each file of features and write what a prediction writes; no pixel is read."""
    from napari_pathlupi.workflows.prediction.classify_tiles import load_model
    from napari_pathlupi.workflows.prediction.features import features_of, frame_of, predict_bag
    from napari_pathlupi.workflows.save import save_prediction

    if chosen.slide and len(chosen.features) > 1:
        raise SettingsError(f"--slide is of one file of features, not of {len(chosen.features)}: give them one by one.")
    bundle = load_model(chosen.model)
    for place in chosen.features:
        slide, note = opened(chosen.slide, chosen) if chosen.slide else (None, "")
        bag = features_of(place, slide, stated_by(chosen))
        prediction = predict_bag(bag, bundle, slide.path.name if slide else Path(place).name, chosen.gene_sets)
        frame = slide.frame if slide else frame_of(bag)
        tell(prediction, note, save_prediction(prediction, frame, chosen.out, chosen.also))
