"""Train a study: all folds, from files to a run folder with predictions, curves and a model of all folds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from napari_pathlupi.bundle import CARD, About, load_bundle
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.claims import ClaimCheck, summary
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, run
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.workflows.device import device_named
from napari_pathlupi.workflows.parallel import joined, rank, wait
from napari_pathlupi.workflows.prediction.ensemble import Ensemble, save_ensemble
from napari_pathlupi.workflows.training.calibrate import calibrate, with_coverage
from napari_pathlupi.workflows.training.evaluate import evaluate
from napari_pathlupi.workflows.training.run_folder import LOG, StudyLog, claim
from napari_pathlupi.workflows.training.study_claims import claims_checked
from napari_pathlupi.workflows.training.study_config import HALLMARK, MEAN, UNION, StudyConfig
from napari_pathlupi.workflows.training.study_data import StudyData, study_data_steps
from napari_pathlupi.workflows.training.study_file import written
from napari_pathlupi.workflows.training.study_fold import FOLDS, FoldResult, Outputs, Study, fold_steps
from napari_pathlupi.workflows.training.study_joined import JoinedFolds, join_folds
from napari_pathlupi.workflows.training.study_tables import (
    RISK,
    attention_rows,
    cohort_as_used,
    draw_curves,
    predictions_of,
    risks_of,
    write_attention,
    write_table,
)
from napari_pathlupi.workflows.training.study_targets import Targets

COHORT, PREDICTIONS, MODEL = "cohort.csv", "predictions.csv", "model"
GOLDEN_TILES = 16


def train_study(config: StudyConfig) -> Path:
    """Return the folder of a study that was trained: `train_study_steps` without the steps."""
    return run(train_study_steps(config))


def train_study_steps(config: StudyConfig, cancel: CancelFlag | None = None) -> Steps[Path]:
    """Yield progress and return the folder of the run.

    It holds ``config.toml`` as run, ``cohort.csv`` as used, ``log.jsonl``, ``folds/``, ``predictions.csv`` (every test
    case by the fold that did not learn from it), ``attention.parquet``, ``curves.png`` and ``.svg``, and ``model/``,
    the bundle. A run that was stopped or killed goes on where it was, to the same weights.

    Raises
    ------
    Cancelled
        When asked to stop; the same call goes on.
    OutputError
        When the folder holds another run or cannot be written.
    PathlupiError
        When a table, a bag or a setting cannot be used; the message names it.
    """
    folder = Path(config.run.out)
    if (device := device_named(config.train.device)) != config.train.device:
        config = replace(config, training={**config.training, "device": device})
    with joined(config.train.device):
        if not rank():
            claim(folder, written(config), [f"{FOLDS}/**/*"])
        wait()
        if (folder / MODEL / CARD).is_file():
            return folder
        data = yield from study_data_steps(config)
        targets = _targets(config, data)
        study = Study(config, data, targets, folder, StudyLog(folder / LOG))
        _tell_begin(study)
        results = []
        for fold in range(len(data.folds)):
            before = study.total * fold // len(data.folds)
            results.append((yield from fold_steps(study, fold, before, cancel)))
        if not rank():
            yield Progress("Writing", study.total, study.total)
            _finish(study, results)
        wait()
    return folder


def _targets(config: StudyConfig, data: StudyData) -> Targets | None:
    if data.expression is None:
        return None
    split = data.cohort, data.folds
    targets = Targets.of(data.expression, data.gene_sets, config.expression.min_genes, split, config.train.objective)
    return replace(targets, told_apart=data.cohort) if config.expression.informative else targets


def _tell_begin(study: Study) -> None:
    if rank():
        return
    data, targets = study.data, study.targets
    _write_cohort(study)
    parts = {"train": data.folds.train, "validation": data.folds.validation, "test": data.folds.test}
    roles = [{name: len(rows(fold)) for name, rows in parts.items()} for fold in range(len(data.folds))]
    facts: dict[str, Any] = {"event": "begun", "notes": list(data.notes), "folds": roles, "weights": study.weights}
    if targets is not None:
        facts |= {"gene sets": len(targets.gene_sets), "sets with too few genes": dict(targets.too_few)}
    study.log.tell(facts)


def _write_cohort(study: Study) -> None:
    """Write the cases as used, or find the same there: folds of two cohorts are no study."""
    file, cases = study.folder / COHORT, cohort_as_used(study.data).to_csv(index=False, lineterminator="\n")
    trained = any(path.is_file() for path in (study.folder / FOLDS).glob("**/*"))
    if trained and file.is_file() and file.read_text(encoding="utf-8") != cases:
        raise OutputError(
            f"the cases have changed since {study.folder} was begun, and folds are trained: its {COHORT} holds those "
            "of then; bring the tables back to go on, or choose another folder as run.out."
        )
    write_whole(file, cases)


def _finish(study: Study, results: Sequence[FoldResult]) -> None:
    """Write what a run is for, once all folds are trained."""
    config, data, folder = study.config, study.data, study.folder
    told = join_folds(data.task, results)
    wanted = data.cohort.wanted
    own = [_calibration(told.task, one.validation_outputs, wanted[one.validation], config) for one in told.results]
    _write_predictions(study, told, own)
    draw_curves(folder, study.log.lines())
    if config.run.attention:
        tables = (table for result in results for table in attention_rows(data, result))
        write_attention(folder / f"attention.{config.run.attention}", tables)
    models = tuple(model for result in results for model in result.models)
    limit = float(np.mean([model.reference_limit for model in models]))
    calibration = _pooled(told, own, study)
    about = about_of(study, results, _metrics(folder))
    bag, _ = data.bags_of(results[0].test[:1])
    golden = np.asarray(bag[0][:GOLDEN_TILES], np.float32)
    slides: Literal["union", "mean"] = MEAN if config.cohort.slides == MEAN else UNION
    ensemble = Ensemble(models, calibration, limit, slides, claims_checked(study, results))
    save_ensemble(folder / MODEL, ensemble, about, golden, config.run.storage)
    study.log.tell({"event": "done", "metrics": about.metrics})


def _write_predictions(study: Study, told: JoinedFolds, own: Sequence[Calibration | None]) -> None:
    cohort, tested = study.data.cohort, []
    for fold, calibration in enumerate(own):
        result, alone = told.results[fold], told.own[fold]
        tables = [
            predictions_of(told.task, cohort.only(rows.tolist()).names, result.fold, outputs, calibration)
            for rows, outputs in ((result.test, result.test_outputs), (result.validation, result.validation_outputs))
        ]
        for table, outputs in zip(tables, (alone.test_outputs, alone.validation_outputs), strict=True):
            if RISK in table:  # by the ends of the fold's own bins, which no case held back has moved
                table[RISK] = risks_of(told.fits[fold], outputs)
        tested.append(tables[0])
        write_table(study.folder / FOLDS / f"fold-{result.fold}" / "validation.csv", tables[1])
    write_table(study.folder / PREDICTIONS, pd.concat(tested, ignore_index=True))


def _metrics(folder: Path) -> dict[str, Any]:
    """Figures of the test cases with their intervals, as JSON values."""
    evaluation = evaluate(folder)
    metrics: dict[str, Any] = {"protocol": evaluation.protocol}
    for score in evaluation.scores[-2:]:
        figures = {
            name: [round(float(v), 4) for v in (one.value, one.low, one.high)]
            for name, one in score.figures.items()
            if np.isfinite([one.value, one.low, one.high]).all()
        }
        metrics[f"{score.part}, {score.cases} cases: value, low, high"] = figures
    return metrics


def _calibration(task: Task, outputs: Any, wanted: Any, config: StudyConfig) -> Calibration | None:
    """What the validation cases say; None where a fold has none."""
    if not len(outputs):
        return None
    return calibrate(task, outputs, wanted, config.run.level, config.run.per_class)


def _pooled(told: JoinedFolds, own: Sequence[Calibration | None], study: Study) -> Calibration | None:
    """Of the validation cases of all folds; its coverage is that of each fold's own on its test cases."""
    wanted, task, results = study.data.cohort.wanted, told.task, told.results
    calibration = _calibration(task, *_each_once(results, wanted), study.config)
    if calibration is None:
        return None
    pairs = [(one, result) for one, result in zip(own, results, strict=True) if one is not None]
    seen = [with_coverage(task, one, result.test_outputs, wanted[result.test]) for one, result in pairs]
    known = [one for one in seen if one.coverage is not None]
    cases = sum(one.coverage_cases for one in known)
    coverage = sum((one.coverage or 0.0) * one.coverage_cases for one in known) / cases if cases else None
    return replace(calibration, coverage=coverage, coverage_cases=cases)


def _each_once(results: Sequence[FoldResult], wanted: Outputs) -> tuple[Outputs, Outputs]:
    """(cases, ...) outputs and labels of whoever validates some fold: of several folds their mean."""
    outputs = np.concatenate([result.validation_outputs for result in results])
    rows = np.concatenate([result.validation for result in results])
    cases = np.unique(rows)
    means = [outputs[rows == case].mean(axis=0) for case in cases]
    return np.array(means).reshape(len(cases), outputs.shape[1]), wanted[cases]


def about_of(study: Study, results: Sequence[FoldResult], metrics: dict[str, Any]) -> About:
    """Return what the bundle of a run says of itself."""
    config, data = study.config, study.data
    endpoint = data.cohort.endpoint
    what = config.task.card or " and ".join(endpoint.columns)
    title = config.run.title or f"{what} ({config.model.preset})"
    folds = "1 fold" if len(results) == 1 else f"{len(results)} folds"
    weights = ", ".join(f"{result.weight:g}" for result in results)
    choice = f"; its validation cases chose for the molecular loss the weight {weights} (0: without expression)"
    source = config.expression.gene_sets
    source = "MSigDB Hallmark 7.0" if source == HALLMARK else Path(source).name
    less = ", less the mean gene of each case" if config.expression.level_out else ""
    sets = "" if study.targets is None else f"{len(study.targets.gene_sets)} gene sets of {source}{less}"
    return About(
        name="".join(c if c.isalnum() else "-" for c in title.lower()).strip("-"),
        title=title,
        description=(
            f"Predicts {what} ({endpoint.task}) from tiles of {data.identity}. Trained as {config.model.preset} in "
            f"{folds}{choice if len(study.weights) > 1 else ''}."
        ),
        trained_on=f"{data.cohort.source}: {data.pairing.words} {data.folds.source}.",
        limits="Measured on the cohort it was trained on only, by folds that did not learn from the case they judge.",
        licence=config.run.licence,
        gated=False,
        source="pathlupi train",
        created=date.today().isoformat(),
        metrics=metrics,
        intended_use="Research on slides like those of its cohort; nothing else.",
        gene_sets=sets,
    )


def told(folder: Path) -> str:
    """Return what a run read, chose and reached, a sentence or figure per line."""
    begun = next(line for line in StudyLog(folder / LOG).lines() if line.get("event") == "begun")
    said = [*begun["notes"]]
    if begun.get("sets with too few genes"):
        left = begun["sets with too few genes"]
        said.append(f"{len(left)} gene sets have too few measured genes and were left out: {', '.join(left)}.")
    for number, fold in enumerate(begun["folds"]):
        said.append(f"Fold {number}: " + ", ".join(f"{count} {role}" for role, count in fold.items()) + " cases.")
    card = load_bundle(folder / MODEL).card
    said.append(card.description)
    said += [words] if (words := summary({name: ClaimCheck.of(entry) for name, entry in card.claims.items()})) else []
    for part, figures in card.metrics.items():
        if isinstance(figures, dict):
            shown = {name: triple for name, triple in figures.items() if isinstance(triple, list)}
            width = max(map(len, shown), default=0)
            said += [part, *(f"  {name:<{width}}  {_figure(*triple)}" for name, triple in shown.items())]
    return "\n".join(said)


def _figure(value: Any, low: Any, high: Any) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
