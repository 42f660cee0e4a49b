"""The task of a study: built for its endpoint, and what it takes from the cases."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.cohort import Cohort
from napari_pathlupi.core.folds import Folds
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.workflows.training.study_config import TaskPart


def task_of(part: TaskPart, cohort: Cohort, folds: Folds) -> CataloguePart:
    """Built for the endpoint, and fitted on whom any fold trains on or chooses by."""
    endpoint, name = cohort.endpoint, part.name
    of_task: Mapping[str, dict[str, Any]] = {
        "classification": {"classes": endpoint.classes},
        "multilabel": {"labels": endpoint.columns},
        "regression": {"names": endpoint.columns, "unit": endpoint.unit},
        "survival": {"unit": endpoint.unit},
    }
    known = [np.union1d(folds.train(i), folds.validation(i)) for i in range(len(folds))]
    wanted = cohort.wanted[np.unique(np.concatenate(known))]
    try:
        task = tasks[name](**of_task.get(name, {}) | dict(part.settings))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"the task {name} cannot be built with {dict(part.settings)}: {error}.") from error
    task.check(wanted)
    return CataloguePart(name=name, settings=dict(task.fitted(wanted).settings()))
