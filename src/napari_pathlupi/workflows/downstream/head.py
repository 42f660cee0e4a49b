"""A model from a slide encoder that is trained already: a linear probe or molecular prompts as its head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.bundle import About, Bundle, CataloguePart
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.progress import Steps
from napari_pathlupi.errors import MismatchError, SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.calibration import calibrated_classes, calibrated_risks
from napari_pathlupi.evaluation.predicted import Classified, Survived
from napari_pathlupi.evaluation.probe import ProbeConfig, fit_probe
from napari_pathlupi.evaluation.prompting import class_prompts, one_sided, risk_prompts
from napari_pathlupi.evaluation.survival_probe import CoxnetConfig, fit_coxnet
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.downstream import Report
from napari_pathlupi.workflows.downstream.probing import probe
from napari_pathlupi.workflows.downstream.slide_embedding import NO_TASK, bags_in, encode_slides_steps, frozen
from napari_pathlupi.workflows.downstream.task import DownstreamTask
from napari_pathlupi.workflows.prediction.ensemble import SINGLE, Ensemble, save_ensemble

RISKS: tuple[str, ...] = ("high risk", "low risk")
"""What the prompts of a survival are called, in the order of `risk_prompts`."""


@dataclass(frozen=True, slots=True)
class HeadStudy:
    """What a model is made from.

    Parameters
    ----------
    bags
        Folder of features or a store: the slides to learn from, or for prompts those to know slides alike by.
    encoder
        As of `napari_pathlupi.workflows.downstream.slide_embedding.frozen`.
    task
        What is to be told. With prompts its table is about the support set.
    support
        Embeddings of transcriptomes by the molecular encoder of the pre-training; None fits a probe.
    settings
        Of the probe, and of the folds it is tested in.
    stated
        What files of features do not say.
    title, licence
        Of the model; "" takes the name of its folder, and says that no licence is stated.
    """

    bags: str
    encoder: str
    task: DownstreamTask
    support: Embeddings | None = None
    settings: ProbeSettings = field(default_factory=ProbeSettings)
    stated: Stated = field(default_factory=Stated)
    title: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear head, and what must be said of it.

    Parameters
    ----------
    task
        What its outputs mean.
    weight, bias
        (outputs, dim) and (outputs,) float64.
    trained_on, limits
        Sentences for the card.
    metrics, calibration
        Of cases that it did not learn from.
    """

    task: CataloguePart
    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    trained_on: str
    limits: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None


def make_head_steps(out: Path, study: HeadStudy) -> Steps[Bundle]:
    """Yield progress and return a model that **Predict** runs like any other, written to a folder.

    Raises
    ------
    UnusableFoldError, MismatchError, SettingsError, FeaturesError, TableError, WeightsError, OutputError
        When the cases teach nothing, do not belong together or cannot be read, or the folder cannot be written.
    """
    bags = bags_in(study.bags, study.stated)
    identity = next(iter(bags.values()))().encoder
    encoder = Ensemble((frozen(study.encoder, identity, NO_TASK),))
    slides = yield from encode_slides_steps(encoder, bags, study.bags)
    if study.support is None:
        head = probe_head(*study.task.cases(slides.embeddings), study.settings)
    else:
        head = prompt_head(study.task.cases(study.support)[0], slides.embeddings)
    model = frozen(study.encoder, identity, head.task)
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(head.weight))
        model.head.bias.copy_(torch.from_numpy(head.bias))
    if len(slides.means) < 2:
        raise MismatchError(f"{study.bags} holds one slide: two are needed at least to know slides alike by.")
    limit = model.reference.fit(slides.means)
    ensemble = Ensemble((model,), head.calibration, limit, "mean")
    return save_ensemble(out, ensemble, _about(out, study, head, encoder.embeds_by), slides.golden, SINGLE)


def probe_head(cases: DownstreamCases, folds: Any, settings: ProbeSettings) -> Head:
    """Return the probe that all cases teach, with what probes in folds are worth.

    The calibration is that of cases that no probe of their fold saw; risks of a fold are centred first (our choice).

    Parameters
    ----------
    cases, folds, settings
        As of `napari_pathlupi.workflows.downstream.probing.probe`.
    """
    words = f"{len(cases)} cases. {' '.join(cases.notes)}"
    tested = _tested(cases, folds, settings)
    metrics = {
        f"{one.metric}, probes in {len(one.folds)} folds": [one.figure.value, one.figure.low, one.figure.high]
        for one in (tested.scores if tested else ())
    }
    calibration = _calibration(tested, cases.survival) if tested else None
    if cases.survival:
        config = CoxnetConfig(settings.alpha_for(cases.endpoint), settings.l1_ratio)
        weight = fit_coxnet(cases.vectors, cases.times, cases.classes.astype(bool), config).weight
        bias = -cases.vectors.astype(np.float64).mean(axis=0) @ weight
        task = CataloguePart(name="cox", settings={"endpoint": cases.endpoint.columns[0]})
        return Head(task, weight[None], np.array([bias]), words, "", metrics, calibration)
    names = cases.endpoint.classes
    fitted = fit_probe(cases.vectors, cases.classes, len(names), ProbeConfig(settings.cost))
    unseen = [name for name, bias in zip(names, fitted.bias, strict=True) if not np.isfinite(bias)]
    if unseen:
        raise SettingsError(f"no case is {' or '.join(unseen)}: leave it out of --classes.")
    task = CataloguePart(name="classification", settings={"classes": list(names)})
    return Head(task, fitted.weight, fitted.bias, words, " ".join(fitted.notes), metrics, calibration)


def _tested(cases: DownstreamCases, folds: Any, settings: ProbeSettings) -> Report | None:
    try:
        return probe(cases, folds, settings)
    except (UnusableFoldError, SettingsError):  # too few cases to be held back: the card has no figure
        return None


def _calibration(report: Report, survival: bool) -> Calibration:
    told = [fold.told for fold in report.folds]
    if survival:
        return calibrated_risks(np.concatenate([t.risks - t.risks.mean() for t in told if isinstance(t, Survived)]))
    classified = [t for t in told if isinstance(t, Classified)]
    logits = np.log(np.concatenate([t.probabilities for t in classified]).clip(1e-12))
    return calibrated_classes(logits, np.concatenate([t.labels for t in classified]).astype(np.float64))


def prompt_head(support: DownstreamCases, slides: Embeddings) -> Head:
    """Return molecular prompts as a linear head: its highest output is that of the nearest prompt.

    ::

        -|z - p|² / 2d = (z·p - |p|²/2) / d  - |z|² / 2d        d: mean distance of the slides to the prompts

    The last term is the same for all prompts and left out. Scores are the softmax of these outputs, which is that of
    minus the distances to first order around d (our choice): the nearest prompt is always the same as in
    `napari_pathlupi.evaluation.prompting.class_scores`, and a tile's evidence is an exact share. A survival has two
    prompts, of high and of low risk; the difference of their outputs orders slides by risk.

    Parameters
    ----------
    support
        Molecular embeddings with labels.
    slides
        Embeddings of slides in the same space.

    Raises
    ------
    MismatchError
        When the two are not of one length.
    UnusableFoldError
        When a class has no patient, or a survival too few events.
    """
    names, prompts = _prompts(support, slides.dim)
    vectors = slides.vectors.astype(np.float64)
    distance = float(np.mean([np.linalg.norm(vectors - prompt, axis=1).mean() for prompt in prompts]))
    if not distance:
        raise MismatchError("all slides and prompts are the same vector: they tell nothing apart.")
    words = f"No label of a slide: the prompts are means of molecular embeddings. {' '.join(support.notes)}"
    limits = "Scores say which prompt a slide is nearer to; they are no probabilities and were tested on no slide."
    limits = " ".join(filter(None, (limits, one_sided(vectors, prompts, names))))
    task = CataloguePart(name="classification", settings={"classes": list(names), "prompts": True})
    return Head(task, prompts / distance, -(prompts**2).sum(axis=1) / 2 / distance, words, limits)


def _prompts(support: DownstreamCases, dim: int) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    if support.vectors.shape[1] != dim:
        raise MismatchError(
            f"slide embeddings of {dim} numbers and molecular ones of {support.vectors.shape[1]}: both must be of one "
            "pre-training, in which they share a space."
        )
    if support.survival:
        return RISKS, risk_prompts(support.vectors, support.times, support.classes.astype(bool))
    names = support.endpoint.classes
    return names, class_prompts(support.vectors, support.classes, names)


def _about(out: Path, study: HeadStudy, head: Head, encoder: str) -> About:
    kind = "linear probe" if study.support is None else "molecular prompts"
    return About(
        name=out.name,
        title=study.title or out.name,
        description=f"{kind[:1].upper()}{kind[1:]} on the frozen slide encoder {encoder}.",
        trained_on=head.trained_on,
        limits=" ".join(filter(None, (head.limits, "Not tested on slides from elsewhere."))),
        licence=study.licence or "not stated",
        gated=False,
        source="pathlupi head",
        created=date.today().isoformat(),
        metrics=dict(head.metrics),
    )
