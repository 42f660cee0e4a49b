"""The task of a study: built for its endpoint, and what it takes from the cases."""

from collections.abc import Mapping
from typing import Any

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.cohort import Cohort
from napari_pathlupi.core.folds import Folds
from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.workflows.training.study_config import TaskPart

FEW_EVENTS = 10
"""With fewer events to learn from, risks and the ends of bins say little (our choice)."""


def task_of(part: TaskPart, cohort: Cohort, folds: Folds) -> CataloguePart:
    """Return the task for an endpoint, which each fold can fit on its own training cases.

    Raises
    ------
    SettingsError
        When it cannot be built with its settings.
    MismatchError
        When the training cases of a fold cannot teach it; the message names the fold.
    """
    endpoint, name = cohort.endpoint, part.name
    of_task: Mapping[str, dict[str, Any]] = {
        "classification": {"classes": endpoint.classes},
        "multilabel": {"labels": endpoint.columns},
        "regression": {"names": endpoint.columns, "unit": endpoint.unit},
        "survival": {"unit": endpoint.unit},
    }
    try:
        task: Task = tasks[name](**of_task.get(name, {}) | dict(part.settings))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"the task {name} cannot be built with {dict(part.settings)}: {error}.") from error
    for fold in range(len(folds)):
        try:
            task.check(cohort.wanted[folds.train(fold)])
        except MismatchError as error:
            raise MismatchError(f"fold {fold} has too little to learn from: {error}") from error
    return CataloguePart(name=name, settings=dict(task.settings()))


def training_notes(cohort: Cohort, folds: Folds) -> tuple[str, ...]:
    """Return which folds learn from no case of a class, or from few events, in a sentence."""
    learned = [cohort.wanted[folds.train(fold)] for fold in range(len(folds))]
    if cohort.endpoint.task == "survival":
        events = [int((wanted[:, 1] == 1).sum()) for wanted in learned]
        if min(events) >= FEW_EVENTS:
            return ()
        few = sum(count < FEW_EVENTS for count in events)
        words = f"Of {len(folds)} folds, {few} learn from fewer than {FEW_EVENTS} events (one from {min(events)})"
        return (f"{words}: their risks say little, set fewer folds or fewer validation cases.",)
    classes = cohort.endpoint.classes
    lacking = [[name for k, name in enumerate(classes) if not (wanted == k).any()] for wanted in learned]
    if not any(lacking):
        return ()
    told = "; ".join(f"fold {fold} none of {', '.join(names)}" for fold, names in enumerate(lacking) if names)
    return (f"Folds learn from no case of some class, which they never say: {told}. Set fewer folds or leave it out.",)
