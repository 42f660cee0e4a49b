"""``pathlupi head``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_settings, settings, show
from napari_pathlupi.commands._downstream import add_task_options, task_of
from napari_pathlupi.commands._features import add_stated_options, stated_by
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.workflows.downstream.config import ProbeSettings

TAKEN = ("unit",)
"""Of what files of features do not say, what has no flag here: ``--unit`` is that of times."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    bags = "features of the tiles of each slide: a folder with a file per slide, or a store"
    parser.add_argument("features", metavar="FEATURES", help=bags)
    labels = "table with the labels of slides or patients; with --support, of the support set"
    parser.add_argument("labels", metavar="LABELS", help=labels)
    encoder = "what encodes slides: a model, the folder of a pre-training, mean or max; it is not trained further"
    parser.add_argument("--slide-encoder", required=True, metavar="MODEL", help=encoder)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MODEL", help="folder of the model")
    support = "embeddings of transcriptomes by the molecular encoder of that pre-training: prompts in place of a probe"
    parser.add_argument("--support", default="", metavar="EMBEDDINGS", help=support)
    parser.add_argument("--title", default="", help="name of the model for people")
    parser.add_argument("--licence", default="", help="of the model")
    add_task_options(parser)
    add_settings(parser, ProbeSettings)
    add_stated_options(parser, but=TAKEN)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
    from napari_pathlupi.workflows.downstream.head import HeadStudy, make_head_steps
    from napari_pathlupi.workflows.prediction.installed_models import as_markdown

    study = HeadStudy(
        chosen.features,
        chosen.slide_encoder,
        task_of(chosen, chosen.labels),
        read_embeddings(chosen.support) if chosen.support else None,
        settings(ProbeSettings, chosen),
        stated_by(chosen, but=TAKEN),
        chosen.title,
        chosen.licence,
    )
    print(as_markdown(show(make_head_steps(chosen.out, study), "Model")))
    print(f"Next: pathlupi predict SLIDE --model {chosen.out} -o RESULTS; in napari: Model, from a folder …")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("make a model of a trained slide encoder and a probe or molecular prompts", _arguments, _run)
