"""Calibrate a trained task on cases that were held back, and measure what that is worth on others."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.outlook import Risk, SurvivalCurve, Values
from napari_pathlupi.evaluation.calibration import (
    calibrated_classes,
    calibrated_labels,
    calibrated_risks,
    calibrated_values,
)
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.tasks.multilabel import Multilabel
from napari_pathlupi.tasks.regression import Regression

Numbers = npt.NDArray[np.float64]


def calibrate(
    task: Task, outputs: Numbers, wanted: Numbers, level: float = 0.9, per_class: bool = False
) -> Calibration:
    """Return what validation cases say of a model's numbers; `Task.answer` applies it.

    Parameters
    ----------
    task
        Fitted.
    outputs, wanted
        (cases, outputs) of the head for cases that it did not learn from, and (cases, columns) what is known of them.
        For an ensemble the validation cases of all folds, each by the folds that it validates, and once: of several
        their mean. The mean of all folds is less scattered than that, so that its sets hold the truth somewhat more
        often than stated (our choice, as in cross-conformal prediction: Vovk, Annals of Mathematics and Artificial
        Intelligence 2015).
    level
        Share of the cases whose truth a conformal set or interval is to hold.
    per_class
        Whether that holds within each class.

    Raises
    ------
    MismatchError
        When nothing is known of any case.
    """
    if isinstance(task, Classification):
        return calibrated_classes(outputs, wanted[:, 0], level, per_class)
    if isinstance(task, Multilabel):
        return calibrated_labels(outputs, wanted, level, per_class)
    if isinstance(task, Regression):
        return calibrated_values(_told(task, outputs), wanted, level)
    return calibrated_risks(_told(task, outputs)[:, 0])


def with_coverage(task: Task, calibration: Calibration, outputs: Numbers, wanted: Numbers) -> Calibration:
    """Return the calibration with the share of these test cases whose set or interval holds the truth.

    Of labels: the share of all known labels of these cases.
    """
    if not calibration.thresholds:
        return calibration
    if isinstance(task, Classification):
        held = _held_classes(task, calibration, outputs, wanted[:, 0])
    elif isinstance(task, Multilabel):
        held = _held_labels(task, calibration, outputs, wanted)
        cases = int(np.isfinite(wanted).any(axis=1).sum())
        return replace(calibration, coverage=float(np.mean(held)) if held else None, coverage_cases=cases)
    else:
        known = np.isfinite(wanted).all(axis=1)
        inside = np.abs(_told(task, outputs[known]) - wanted[known]) <= np.array(calibration.thresholds)
        held = [bool(row.all()) for row in inside]
    return replace(calibration, coverage=float(np.mean(held)) if held else None, coverage_cases=len(held))


def _held_classes(task: Classification, calibration: Calibration, outputs: Numbers, labels: Numbers) -> list[bool]:
    known = np.isfinite(labels)
    rows = zip(torch.from_numpy(outputs[known]), labels[known], strict=True)
    return [int(label) in task.answer(row, calibration).plausible for row, label in rows]


def _held_labels(task: Multilabel, calibration: Calibration, outputs: Numbers, wanted: Numbers) -> list[bool]:
    sets = np.array([task.answer(row, calibration).possible for row in torch.from_numpy(outputs)])
    known = np.isfinite(wanted)
    return [bool(one) for one in np.where(wanted == 1, sets[..., 1], sets[..., 0])[known]]


def _told(task: Task, outputs: Numbers) -> Numbers:
    """(cases, values) or (cases, 1) risks, as the task's answers have them."""
    rows = []
    for answer in map(task.answer, torch.from_numpy(outputs)):
        if isinstance(answer, Values):
            rows.append(answer.values)
        elif isinstance(answer, Risk | SurvivalCurve):
            rows.append((answer.risk,))
    return np.array(rows, dtype=np.float64)
