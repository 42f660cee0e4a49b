"""Molecular prompting on cases: the RNA of some patients is the question, the slides of others answer it."""

from functools import partial

import numpy as np

from napari_pathlupi.core.folds import Folds
from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.errors import MismatchError, UnusableFoldError
from napari_pathlupi.evaluation.fold_scores import FoldScores, classified, survived
from napari_pathlupi.evaluation.predicted import Classified
from napari_pathlupi.evaluation.prompting import class_prompts, class_scores, one_sided, prompted_risks, risk_prompts
from napari_pathlupi.evaluation.survival_probe import must_have_events
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import DownstreamConfig
from napari_pathlupi.workflows.downstream.downstream import Attempts, Report, Rows, folds_of, scored, sides

SIGN = (
    "Risk is d(slide, low-risk prompt) - d(slide, high-risk prompt); the paper writes the difference the other way "
    "round, under which a slide near the high-risk prompt would get a low value."
)


def prompt(
    slides: DownstreamCases,
    support: DownstreamCases,
    folds: Folds | None = None,
    settings: DownstreamConfig | None = None,
) -> Report:
    """Return how well slides are told apart by the prompts of a support set; nothing is trained.

    No slide is told apart by prompts that its own patient's RNA made: where slides and support set share patients, the
    slides are tested in folds, and the patients that a fold tests make none of its prompts.

    Parameters
    ----------
    slides
        Slide embeddings with their labels.
    support
        Embeddings by the molecular encoder that the slide encoder was pre-trained with, with the same labels.
    folds
        An official split of the slides.
    settings
        Of the intervals.

    Raises
    ------
    MismatchError
        When the embeddings or the labels of the two are not of one kind.
    UnusableFoldError
        When nothing can be told apart; it says why.
    """
    settings = settings or DownstreamConfig()
    _must_be_of_one_kind(slides, support)
    parts, how = _parts(slides, support, folds, settings)
    tried = Attempts()
    for number, test in parts:
        tried.attempt(number, "", partial(_fold, slides, support, number, test))
    tried.must_have_tested()
    scores = scored(tried.tested, slides, settings)
    told = (SIGN,) if slides.survival else _one_sided(slides, support, tried)
    notes = (f"Support set: {support.notes[0]}", *slides.notes, how, *tried.said, *told)
    return Report("molecular prompting", scores, tried.skipped, notes, as_dict(settings), tuple(tried.tested))


def _parts(
    slides: DownstreamCases, support: DownstreamCases, folds: Folds | None, settings: DownstreamConfig
) -> tuple[list[tuple[int, Rows]], str]:
    """Which slides are tested together, and what to say of it."""
    apart = set(support.patients).isdisjoint(slides.patients)
    if folds is None and slides.cohort.folds is None and apart:
        return [(0, np.arange(len(slides)))], "No patient has both a slide that is tested and RNA in the support set."
    folds = folds_of(slides, folds, settings)
    how = f"Folds: {folds.source}; the patients that a fold tests make none of its prompts."
    return [(number, test) for number, _, test in sides(folds)], how


def _fold(slides: DownstreamCases, support: DownstreamCases, number: int, test: Rows) -> FoldScores:
    if not len(test):
        raise UnusableFoldError("it has no slide to tell apart")
    rows = np.flatnonzero(~np.isin(support.patients, slides.patients[test]))
    vectors, labels = support.vectors[rows], support.classes[rows]
    if slides.survival:
        events = slides.classes[test].astype(bool)
        must_have_events(slides.times[test], events, "test")
        risks = prompted_risks(slides.vectors[test], risk_prompts(vectors, support.times[rows], labels.astype(bool)))
        return FoldScores(number, test, survived(slides.times[test], events, risks))
    probabilities = class_scores(slides.vectors[test], class_prompts(vectors, labels, slides.endpoint.classes))
    told, notes = classified(slides.endpoint.classes, slides.classes[test], probabilities)
    return FoldScores(number, test, told, notes)


def _one_sided(slides: DownstreamCases, support: DownstreamCases, tried: Attempts) -> tuple[str, ...]:
    """What must be said where all tested slides fall to one class, by the prompts of the whole support set."""
    said = [fold.told.said for fold in tried.tested if isinstance(fold.told, Classified)]
    if len(np.unique(np.concatenate(said))) > 1:
        return ()
    tested = np.unique(np.concatenate([fold.rows for fold in tried.tested]))
    prompts = class_prompts(support.vectors, support.classes, slides.endpoint.classes)
    return tuple(filter(None, (one_sided(slides.vectors[tested], prompts, slides.endpoint.classes),)))


def _must_be_of_one_kind(slides: DownstreamCases, support: DownstreamCases) -> None:
    if slides.vectors.shape[1] != support.vectors.shape[1]:
        raise MismatchError(
            f"slide embeddings of {slides.vectors.shape[1]} numbers and molecular ones of {support.vectors.shape[1]}: "
            "both must be of one pre-training, in which they share a space."
        )
    if slides.survival != support.survival or slides.endpoint.classes != support.endpoint.classes:
        raise MismatchError(
            f"the slides are labelled {_words(slides)} and the support set {_words(support)}: state the same classes "
            "for both."
        )


def _words(cases: DownstreamCases) -> str:
    return "with a survival" if cases.survival else ", ".join(cases.endpoint.classes)
