"""A study as a TOML file: written with comments from the config dataclasses, read back and checked against them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from napari_pathlupi.workflows.config_file import comment_lines, key_lines, read_sections, section_lines, with_sections
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.task_cards import task_card
from napari_pathlupi.workflows.training.train_config import TrainConfig

HEAD = """# A study of napari-pathlupi: train with transcriptomes, predict without them.
# pathlupi train THIS_FILE runs it. Paths begin at the folder of this file.
"""
OVERRIDES = "Training: the preset's values; take away the # to change one."


def written(config: StudyConfig) -> str:
    """Return a config as commented TOML, which `read_study` reads back to the same."""
    lines = [HEAD]
    for section in fields(config):
        part = getattr(config, section.name)
        if is_dataclass(part):
            lines += section_lines(section.name, part)
        else:
            values = {key.name: getattr(config.train, key.name) for key in fields(TrainConfig)}
            lines += [*comment_lines(OVERRIDES), f"[{section.name}]"]
            lines += [*key_lines(TrainConfig, values, off=values.keys() - config.training.keys()), ""]
    return "\n".join(lines)


def read_study(path: str | Path, changes: Sequence[str] = (), task: str = "") -> StudyConfig:
    """Return the study in a TOML file.

    Parameters
    ----------
    path
        The file; relative paths in it begin at its folder.
    changes
        "section.key=value" each, as of ``--set``; a value is TOML, or else taken as text.
    task
        A named task, which takes the place of the section ``task``.

    Raises
    ------
    SettingsError
        When it cannot be read, or a key or value is none that is known; the message names it.
    NotFoundError
        When no task has that name.
    """
    path = Path(path)
    named = {"task": task_card(task).settings} if task else {}
    sections = read_sections(path, changes, "train", named)
    return study_of(sections, path.name).rooted(path.resolve().parent)


def study_of(sections: Mapping[str, Any], source: str = "the study") -> StudyConfig:
    """Return the study of nested settings; errors as of `read_study`."""
    config: StudyConfig = with_sections(StudyConfig(), sections, source, training=TrainConfig)
    _ = config.train  # says what is wrong with it
    return config
