"""``pathlupi retrieve``."""

import argparse

from napari_pathlupi.commands._command import Command, add_settings, settings
from napari_pathlupi.commands._downstream import add_embedding_options, task_of, tell
from napari_pathlupi.workflows.downstream.config import RetrievalSettings


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_embedding_options(parser)
    add_settings(parser, RetrievalSettings)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
    from napari_pathlupi.workflows.downstream.retrieval import clusters, retrieve

    task, wanted = task_of(chosen, chosen.labels), settings(RetrievalSettings, chosen)
    cases, folds = task.cases(read_embeddings(chosen.embeddings, chosen.encoder))
    more = [clusters(cases, wanted)] if wanted.clusters else []
    tell(chosen, cases, retrieve(cases, folds, wanted), *more)


COMMAND = Command("test whether nearest slides are of the same class, and whether classes cluster", _arguments, _run)
