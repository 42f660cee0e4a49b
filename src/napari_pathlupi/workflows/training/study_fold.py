"""One fold of a study: weights tried, the validation cases choose, the test cases are looked at once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.catalogue import objectives
from napari_pathlupi.core.folds import Rows
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.workflows.parallel import agreed, rank
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.bags import TrainingCases
from napari_pathlupi.workflows.training.run_folder import StudyLog
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.study_data import StudyData
from napari_pathlupi.workflows.training.study_targets import Targets
from napari_pathlupi.workflows.training.train import Trained, Watch, watched_steps
from napari_pathlupi.workflows.training.train_config import TrainConfig
from napari_pathlupi.workflows.training.validation import outputs_of

FOLDS = "folds"
"""Folder of a run for what is trained; a run without a file in it is none yet."""
Outputs = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What the folds of a study share.

    Parameters
    ----------
    config, data, targets
        Settings, cases and their expression, None without.
    folder
        Of the run.
    log
        Where it is told.
    """

    config: StudyConfig
    data: StudyData
    targets: Targets | None
    folder: Path
    log: StudyLog

    @property
    def weights(self) -> tuple[float, ...]:
        """Those that are tried."""
        return self.config.weights if self.targets is not None else (0.0,)

    @property
    def total(self) -> int:
        """Steps of the whole study."""
        config, folds = self.config.train, self.data.folds
        steps = config.rna_steps + config.steps_for(len(folds.train(0)))
        return steps * len(self.weights) * len(self.config.model.seeds) * len(folds)

    def training(self, rows: Rows) -> tuple[TrainingCases, dict[str, int]]:
        """Return the cases to learn from, their expression scaled on them alone, and the genes of each set."""
        data = self.data
        targets, names, sets = self.targets.scaled(rows) if self.targets else (None, (), {})
        bags, owners = data.bags_of(rows)
        return TrainingCases(bags, data.identity, data.task, data.cohort.wanted[rows], targets, names, owners), sets


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """What a fold came to.

    Parameters
    ----------
    fold, weight
        Which, and the weight that its validation cases chose.
    scores
        The smoothed score of each weight on them.
    models
        One for each seed.
    validation, test
        Rows of the cases.
    validation_outputs, test_outputs
        (cases, outputs) means over the models.
    """

    fold: int
    weight: float
    scores: Mapping[float, float]
    models: tuple[SlideModel, ...]
    validation: Rows
    test: Rows
    validation_outputs: Outputs
    test_outputs: Outputs


def fold_steps(study: Study, fold: int, before: int, cancel: CancelFlag | None) -> Steps[FoldResult]:
    """Yield progress and return a fold, trained or read where it was trained before.

    Parameters
    ----------
    study, fold
        What, and which.
    before
        Steps of the study that came before this fold.
    cancel
        Asks to stop; what is trained is kept.

    Raises
    ------
    SettingsError
        When several weights are tried and there is nobody to choose by.
    """
    _must_be_able_to_choose(study, fold)
    trained: dict[float, list[Trained]] = {}
    seeds = study.config.model.seeds
    each = study.total // (len(study.data.folds) * len(study.weights) * len(seeds))
    for weight in _already_chosen(study, fold) or study.weights:
        for seed in seeds:
            words = f"Fold {fold + 1} of {len(study.data.folds)}, weight {weight:g}"
            whole = Progress(words, before, study.total)
            trained.setdefault(weight, []).append((yield from _train_steps(study, fold, (weight, seed), whole, cancel)))
            before += each
    scores = {weight: float(np.mean([one.score for one in several])) for weight, several in trained.items()}
    best = max(scores, key=lambda weight: (np.nan_to_num(scores[weight], nan=-1), -weight))
    weight = agreed(best, study.config.train.device)
    _note_choice(study, fold, weight, scores)
    models = tuple(one.model for one in trained[weight])
    validation, test = study.data.folds.validation(fold), study.data.folds.test(fold)
    said = _outputs(study, models, validation), _outputs(study, models, test)
    return FoldResult(fold, weight, scores, models, validation, test, *said)


def _must_be_able_to_choose(study: Study, fold: int) -> None:
    if len(study.weights) > 1 and not len(study.data.folds.validation(fold)):
        weights = ", ".join(f"{weight:g}" for weight in study.weights)
        raise SettingsError(
            f"fold {fold} has no validation cases to choose one of the weights {weights} by: set folds.validation "
            "above 0, or model.weights to [0]."
        )


def _train_steps(
    study: Study, fold: int, which: tuple[float, int], whole: Progress, cancel: CancelFlag | None
) -> Steps[Trained]:
    weight, seed = which
    cases, sets = study.training(study.data.folds.train(fold))
    rows = study.data.folds.validation(fold)
    validation = study.data.held_out(rows) if len(rows) else None
    folder = _folder(study, fold, weight)
    if not rank():
        folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(validation, folder / f"seed-{seed}.pt", study.log.of(fold=fold, seed=seed, weight=weight))
    steps = watched_steps(cases, config_of(study, which, cases, sets), watch, cancel)
    while True:
        try:
            progress = next(steps)
        except StopIteration as stop:
            trained: Trained = stop.value
            return trained
        yield Progress(whole.stage, whole.done + progress.done, whole.total)


def config_of(
    study: Study, which: tuple[float, int], cases: TrainingCases, sets: Mapping[str, int] | None = None
) -> TrainConfig:
    """Return how a model of a study is trained.

    At the weight 0 that is the same network without the objective, and as many steps in all: epochs are counted over
    the cases that the others see, labelled or measured.

    Parameters
    ----------
    study, which
        Of the settings, and a weight and a seed.
    cases, sets
        As of `Study.training`.
    """
    weight, seed = which
    train = replace(study.config.train, seed=seed, weight=weight)
    settings, chosen = dict(train.settings), train.objective
    if study.targets is not None and "tokens" in settings and objectives[chosen].reads_tokens:
        settings["tokens"] = len(study.targets.gene_sets)
    if not weight:
        seen = np.isfinite(cases.wanted).any(axis=1)
        if cases.targets is not None:
            seen |= np.isfinite(cases.targets).any(axis=1)
        steps = train.rna_steps + train.steps_for(int(seen.sum()))
        return replace(train, settings=settings, objective="", rna_steps=0, epochs=0, steps=steps)
    own: dict[str, Any] = {"sets": dict(sets)} if sets else {}
    return replace(train, settings=settings, objective_settings=dict(train.objective_settings) | own)


def _outputs(study: Study, models: tuple[SlideModel, ...], rows: Rows) -> Outputs:
    if not len(rows):
        return np.zeros((0, models[0].task.outputs))
    bags, owners = study.data.bags_of(rows)
    return np.asarray(np.mean([outputs_of(model, bags, owners) for model in models], axis=0))


def _folder(study: Study, fold: int, weight: float) -> Path:
    return study.folder / FOLDS / f"fold-{fold}" / f"weight-{weight:g}"


def _choice(study: Study, fold: int) -> Path:
    return study.folder / FOLDS / f"fold-{fold}" / "choice.json"


def _already_chosen(study: Study, fold: int) -> tuple[float, ...]:
    """The weight that an earlier part of this run chose, whose rivals are gone."""
    file = _choice(study, fold)
    return (float(json.loads(file.read_text())["weight"]),) if file.is_file() else ()


def _note_choice(study: Study, fold: int, weight: float, scores: Mapping[float, float]) -> None:
    """Write which weight was chosen, and give the room of the others back."""
    if rank() or _choice(study, fold).is_file():
        return
    told = {f"{one:g}": None if np.isnan(score) else round(score, 4) for one, score in scores.items()}
    choice = {"weight": weight, "smoothed score on the validation cases": told}
    write_whole(_choice(study, fold), json.dumps(choice, indent=2) + "\n")
    study.log.tell({"event": "chosen", "fold": fold, **choice})
    for other in scores:
        if other != weight:
            for state in _folder(study, fold, other).glob("seed-*.pt"):
                state.unlink()
