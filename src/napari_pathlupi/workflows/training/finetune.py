"""A study as Threads' fine-tuning: the published settings in place of its own model."""

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from napari_pathlupi.catalogue import slide_encoders
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
        it is, and how wide; of the study's own settings those count that this encoder has and the card leaves open,
        such as dropout.

    Raises
    ------
    WeightsError
        When the card beside the weights is damaged.
    """
    training: dict[str, Any] = dict(config.training)
    if start:
        place = start if "://" in start else str(Path(start).absolute())
        training = {**training, **_encoder_of(start, training.get("settings", {})), "start": place}
    task = config.task
    if task.name == "classification" and "weights" not in task.settings:
        task = replace(task, settings={**task.settings, "weights": BALANCED})
    model = ModelPart(preset=PRESET, seeds=config.model.seeds)
    return replace(config, task=task, model=model, training=training, expression=ExpressionPart())


def _encoder_of(start: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Slide encoder and settings of the weights, as far as a card says; the study's model is another."""
    known = settings_beside(start)
    if not known:
        return {}
    takes = signature(slide_encoders[known["slide_encoder"]]).parameters
    fitting = {name: one for name, one in own.items() if name in takes}
    return {**known, "settings": {**fitting, **known["settings"]}}
