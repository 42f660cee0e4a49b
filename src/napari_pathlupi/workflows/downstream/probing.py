"""Probes on embeddings: every fold learned from and tested, what cannot be done reported and left out."""

from collections.abc import Iterator
from functools import partial

from napari_pathlupi.core.folds import Folds
from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.evaluation.few_shot import few_shot_rows
from napari_pathlupi.evaluation.fold_scores import FoldScores, Measured, classified, survived
from napari_pathlupi.evaluation.probe import ProbeConfig, fit_probe
from napari_pathlupi.evaluation.survival_probe import CoxnetConfig, fit_coxnet, must_have_events
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.downstream import (
    Attempts,
    Report,
    Rows,
    folds_of,
    must_be_both,
    scored,
    sides,
    words_of_split,
)


def probe(cases: DownstreamCases, folds: Folds | None = None, settings: ProbeSettings | None = None) -> Report:
    """Return how well a linear probe tells the classes, or a proportional-hazards probe the risks.

    Parameters
    ----------
    cases
        With their embeddings and labels.
    folds
        An official split; without it, and without one in the table, folds are made as the settings say.
    settings
        How the probes are fitted.

    Raises
    ------
    UnusableFoldError
        When no fold at all can be tested; it says why.
    """
    settings = settings or ProbeSettings()
    folds = folds_of(cases, folds, settings)
    tried = Attempts()
    fit = _survival_fold if cases.survival else _class_fold
    for number, train, test in sides(folds):
        tried.attempt(number, "", partial(fit, cases, settings, number, train, test))
    tried.must_have_tested()
    scores = list(scored(tried.tested, cases, settings))
    if settings.shots and cases.survival:
        raise SettingsError("few shots are of classes, and this is a survival: leave them out.")
    for shots in settings.shots:
        scores += _few_shots(cases, folds, settings, shots, tried)
    name = "survival probe" if cases.survival else "linear probe"
    done = {"alpha": settings.alpha_for(cases.endpoint)} if cases.survival else {}
    return Report(
        name,
        tuple(scores),
        tried.skipped,
        (*cases.notes, *words_of_split(cases, folds), *tried.said),
        as_dict(settings) | done,
        tuple(tried.tested),
    )


def _class_fold(cases: DownstreamCases, settings: ProbeSettings, number: int, train: Rows, test: Rows) -> FoldScores:
    must_be_both(train, test)
    n_classes = len(cases.endpoint.classes)
    fitted = fit_probe(cases.vectors[train], cases.classes[train], n_classes, ProbeConfig(settings.cost))
    probabilities = fitted.probabilities(cases.vectors[test])
    told, notes = classified(cases.endpoint.classes, cases.classes[test], probabilities)
    return FoldScores(number, test, told, (*fitted.notes, *notes))


def _survival_fold(cases: DownstreamCases, settings: ProbeSettings, number: int, train: Rows, test: Rows) -> FoldScores:
    must_be_both(train, test)
    events = cases.classes.astype(bool)
    config = CoxnetConfig(settings.alpha_for(cases.endpoint), settings.l1_ratio)
    must_have_events(cases.times[test], events[test], "test")
    fitted = fit_coxnet(cases.vectors[train], cases.times[train], events[train], config)
    risks = fitted.risks(cases.vectors[test])
    return FoldScores(number, test, survived(cases.times[test], events[test], risks), fitted.notes)


def _few_shots(
    cases: DownstreamCases, folds: Folds, settings: ProbeSettings, shots: int, whole: Attempts
) -> Iterator[Measured]:
    tried = Attempts()
    for number, train, test in sides(folds):
        for repeat in range(settings.repeats):
            seed = (settings.seed, shots, number, repeat)
            tried.attempt(number, f" with {_told(shots)}", partial(_few_shot_fold, cases, settings, seed, train, test))
    whole.refused.update(tried.refused)
    if tried.tested:
        yield from scored(tried.tested, cases, settings, _told(shots))


def _told(shots: int) -> str:
    return f"{shots} shot{'s' if shots > 1 else ''}"


def _few_shot_fold(
    cases: DownstreamCases, settings: ProbeSettings, seed: tuple[int, int, int, int], train: Rows, test: Rows
) -> FoldScores:
    _, shots, number, _ = seed
    few = few_shot_rows(cases.classes[train], shots, cases.endpoint.classes, seed)
    return _class_fold(cases, settings, number, train[few], test)
