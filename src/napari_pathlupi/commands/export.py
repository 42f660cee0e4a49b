"""``pathlupi export``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_slide_options, opened
from napari_pathlupi.commands._features import add_feature_options, stated_by


def _arguments(parser: argparse.ArgumentParser) -> None:
    words = "a feature store, or a file of another tool"
    parser.add_argument("features", metavar="FEATURES", help=words)
    words = "the file to write; of a store with several slides the folder"
    parser.add_argument("-o", "--out", type=Path, required=True, help=words)
    parser.add_argument("--to", default="trident", help="format: trident (h5) or anndata (h5ad)")
    add_slide_options(parser)
    add_feature_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.prediction.features import features_of, is_store, save_bag, save_store

    if is_store(chosen.features) and not chosen.slide:
        for file in save_store(chosen.features, chosen.out, chosen.to, chosen.encoder):
            print(file)
        return
    slide = opened(chosen.slide, chosen)[0] if chosen.slide else None
    bag = features_of(chosen.features, slide, stated_by(chosen))
    save_bag(bag, chosen.out, chosen.to, Path(slide.path.name).stem if slide else "")
    print(f"{chosen.out}: {len(bag):,} tiles of {bag.encoder}")
    for note in bag.notes:
        print(f"  {note}")


COMMAND = Command("write features of one tool as another's: TRIDENT h5, AnnData", _arguments, _run)
