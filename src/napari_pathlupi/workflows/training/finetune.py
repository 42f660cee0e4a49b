"""A study as Threads' fine-tuning: the published settings in place of its own model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_pathlupi.tasks.classification import BALANCED
from napari_pathlupi.workflows.training.study_config import ExpressionPart, ModelPart, StudyConfig
from napari_pathlupi.workflows.training.train_start import settings_beside

PRESET = "threads-finetune"


def fine_tuned(config: StudyConfig, start: str = "") -> StudyConfig:
    """Return a study that fine-tunes a slide encoder, by the preset ``threads-finetune``.

    Cohort, features, task, folds and run stay; expression is not used; classes weigh alike in the loss, unless the
    study says otherwise. What the study's section ``training`` sets, such as device, mixed precision or epochs, wins.

    Parameters
    ----------
    config
        The study.
    start
        As of `TrainConfig`; "" takes a new encoder of the published size. A card beside the weights says what encoder
        it is, and how wide.

    Raises
    ------
    WeightsError
        When the card beside the weights is damaged.
    """
    training: dict[str, Any] = dict(config.training)
    if start:
        place = start if "://" in start else str(Path(start).absolute())
        training = {**settings_beside(start), **training, "start": place}
    task = config.task
    if task.name == "classification" and "weights" not in task.settings:
        task = replace(task, settings={**task.settings, "weights": BALANCED})
    model = ModelPart(preset=PRESET, seeds=config.model.seeds)
    return replace(config, task=task, model=model, training=training, expression=ExpressionPart())
