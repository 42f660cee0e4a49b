"""``pathlupi probe``."""

import argparse

from napari_pathlupi.commands._command import Command, add_settings, settings
from napari_pathlupi.commands._downstream import add_embedding_options, task_of, tell
from napari_pathlupi.workflows.downstream.config import ProbeSettings


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_embedding_options(parser)
    add_settings(parser, ProbeSettings)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
    from napari_pathlupi.workflows.downstream.probing import probe

    task, wanted = task_of(chosen, chosen.labels), settings(ProbeSettings, chosen)
    cases, folds = task.cases(read_embeddings(chosen.embeddings, chosen.encoder))
    tell(chosen, cases, probe(cases, folds, wanted))


COMMAND = Command("test slide embeddings with a linear probe, few shots or a survival probe", _arguments, _run)
