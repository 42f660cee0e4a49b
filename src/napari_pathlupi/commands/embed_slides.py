"""``pathlupi embed-slides``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, show
from napari_pathlupi.commands._features import add_stated_options, stated_by
from napari_pathlupi.core.results import RESEARCH_USE_ONLY


def _arguments(parser: argparse.ArgumentParser) -> None:
    bags = "features of the tiles of each slide: a folder with a file per slide, or a store"
    parser.add_argument("features", metavar="FEATURES", help=bags)
    encoder = "what encodes slides: a model, the folder of a pre-training, mean, max, or titan, prism, chief …"
    parser.add_argument("--slide-encoder", required=True, metavar="MODEL", help=encoder)
    out = "slides.h5ad, or a new folder for a file NAME.h5 per slide"
    parser.add_argument("-o", "--out", type=Path, required=True, help=out)
    group = parser.add_argument_group("slide encoders of others")
    group.add_argument("--trust-code", action="store_true", help="let its authors' code run here")
    group.add_argument("--weights", default="", metavar="FOLDER", help="its code and weights, where it needs a folder")
    group.add_argument("--device", default="cpu", help="cpu or cuda")
    add_stated_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.catalogue import external_slide_encoders
    from napari_pathlupi.workflows.downstream.external_embedding import ExternalConfig, encode_externally_steps
    from napari_pathlupi.workflows.downstream.slide_embedding import (
        bags_in,
        embedder,
        encode_slides_steps,
        save_embeddings,
    )

    bags = bags_in(chosen.features, stated_by(chosen))
    if chosen.slide_encoder in external_slide_encoders:
        config = ExternalConfig(chosen.device, chosen.weights, chosen.trust_code)
        found = show(encode_externally_steps(chosen.slide_encoder, bags, config, chosen.features), "Slides")
    else:
        model = embedder(chosen.slide_encoder, next(iter(bags.values()))().encoder)
        found = show(encode_slides_steps(model, bags, chosen.features), "Slides").embeddings
    save_embeddings(found, chosen.out)
    print(f"{chosen.out}: {len(found)} vectors of {found.dim} numbers by {found.made_by}.")
    print(f"Next: pathlupi probe {chosen.out} LABELS, or retrieve; in napari: Like this slide.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("write the embedding of each slide, to find similar slides or to test probes", _arguments, _run)
