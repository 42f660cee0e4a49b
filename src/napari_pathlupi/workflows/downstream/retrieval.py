"""Nearest slides and clusters: what embeddings tell of classes without learning them."""

from functools import partial

import numpy as np

from napari_pathlupi.core.folds import Folds
from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.evaluation.clustering import cluster
from napari_pathlupi.evaluation.fold_scores import Clustered, FoldScores, Retrieved
from napari_pathlupi.evaluation.retrieval import retrieval_scores
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import DownstreamConfig, RetrievalSettings
from napari_pathlupi.workflows.downstream.downstream import (
    Attempts,
    Report,
    Rows,
    must_be_both,
    must_have_classes,
    scored,
    sides,
)


def retrieve(
    cases: DownstreamCases,
    folds: Folds | None = None,
    settings: RetrievalSettings | None = None,
) -> Report:
    """Return how well the nearest slides share a slide's class: mAP at each rank, by L2 on raw embeddings.

    The test cases of a fold are looked up among its training cases, as Patho-Bench does. Without a split, each case is
    looked up among all others but those of its patient.

    Raises
    ------
    SettingsError
        When the endpoint is a survival.
    UnusableFoldError
        When no fold at all can be tested; it says why.
    """
    settings = settings or RetrievalSettings()
    must_have_classes(cases, "retrieval")
    folds = folds or cases.cohort.folds
    tried, everyone = Attempts(), np.arange(len(cases))
    parts = list(sides(folds.of(cases.cohort.names))) if folds else [(0, everyone, everyone)]
    for number, database, queries in parts:
        tried.attempt(number, "", partial(_look_up, cases, settings.ranks, number, database, queries))
    tried.must_have_tested()
    how = f"Folds: {folds.source}." if folds else "Each case is looked up among those of all other patients."
    return Report(
        "retrieval",
        scored(tried.tested, cases, settings),
        tried.skipped,
        (*cases.notes, how),
        as_dict(settings),
        tuple(tried.tested),
    )


def _look_up(cases: DownstreamCases, ranks: tuple[int, ...], number: int, database: Rows, queries: Rows) -> FoldScores:
    must_be_both(database, queries)
    vectors, classes = cases.vectors, cases.classes
    same = cases.patients[queries][:, None] == cases.patients[database][None, :]
    found = retrieval_scores((vectors[queries], classes[queries]), (vectors[database], classes[database]), ranks, same)
    return FoldScores(number, queries, Retrieved(ranks, classes[queries], found))


def clusters(cases: DownstreamCases, settings: DownstreamConfig | None = None) -> Report:
    """Return how well k-means finds the classes again: adjusted Rand index and mutual information.

    The interval is over patients, with the clusters as they are.

    Raises
    ------
    SettingsError, UnusableFoldError
        When the endpoint is a survival, or nothing differs.
    """
    settings = settings or DownstreamConfig()
    must_have_classes(cases, "clustering")
    found = cluster(cases.vectors, cases.classes, settings.seed)
    fold = FoldScores(0, np.arange(len(cases)), Clustered(cases.classes, found.members), found.notes)
    scores = scored([fold], cases, settings)
    return Report("clustering", scores, (), (*cases.notes, *found.notes), as_dict(settings), (fold,))
