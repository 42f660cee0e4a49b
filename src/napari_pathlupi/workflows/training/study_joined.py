"""The folds of a study as one: each fitted its task on its own training cases, together they answer in one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.workflows.training.study_fold import FoldResult, Outputs


@dataclass(frozen=True, slots=True, eq=False)
class JoinedFolds:
    """What the folds of a study say in common.

    Parameters
    ----------
    task
        In which all models answer.
    results
        Of the folds, their outputs in the numbers of that task.
    fits
        The task as each fold fitted it.
    own
        The results as each fold had them.
    """

    task: Task
    results: Sequence[FoldResult]
    fits: Sequence[Task]
    own: Sequence[FoldResult]


def join_folds(part: CataloguePart, results: Sequence[FoldResult]) -> JoinedFolds:
    """Return what folds say in common, and tell their models the task in which they do."""
    models = [model for result in results for model in result.models]
    fits = [model.task for model in models]
    task: Task = tasks[part.name](**part.settings).joined(fits)
    together = CataloguePart(name=part.name, settings=dict(task.settings()))
    for model in models:
        model.task, model.recipe = task, model.recipe.model_copy(update={"task": together})
    first = [sum(len(before.models) for before in results[:fold]) for fold in range(len(results))]
    told = [
        replace(
            result,
            validation_outputs=_said_together(task, result.validation_outputs, member),
            test_outputs=_said_together(task, result.test_outputs, member),
        )
        for result, member in zip(results, first, strict=True)
    ]
    return JoinedFolds(task, told, [fits[member] for member in first], results)


def _said_together(task: Task, outputs: Outputs, member: int) -> Outputs:
    return task.of_member(torch.from_numpy(outputs), member).numpy()
