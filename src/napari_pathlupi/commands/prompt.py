"""``pathlupi prompt``."""

import argparse

from napari_pathlupi.commands._command import Command, add_settings, settings
from napari_pathlupi.commands._downstream import add_embedding_options, task_of, tell
from napari_pathlupi.workflows.downstream.config import DownstreamConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_embedding_options(parser)
    support = "embeddings of transcriptomes by the molecular encoder that the slide encoder was pre-trained with"
    parser.add_argument("--support", required=True, metavar="EMBEDDINGS", help=support)
    labels = "their labels, with the same columns; the slides' own table if not given"
    parser.add_argument("--support-labels", default="", metavar="LABELS", help=labels)
    add_settings(parser, DownstreamConfig)


def _run(chosen: argparse.Namespace) -> None:
    from dataclasses import replace

    from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
    from napari_pathlupi.workflows.downstream.prompting import prompt

    task = task_of(chosen, chosen.labels)
    of_support = task_of(chosen, chosen.support_labels) if chosen.support_labels else task
    slides, folds = task.cases(read_embeddings(chosen.embeddings, chosen.encoder))
    endpoint = replace(of_support.endpoint, classes=slides.endpoint.classes)
    support, _ = replace(of_support, endpoint=endpoint, splits="").cases(read_embeddings(chosen.support))
    tell(chosen, slides, prompt(slides, support, folds, settings(DownstreamConfig, chosen)))


COMMAND = Command("tell slides apart by how near they are to the RNA of other patients", _arguments, _run)
