"""A study as a TOML file: written with comments from the config dataclasses, read back and checked against them."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.workflows.study_config import StudyConfig
from napari_pathlupi.workflows.task_cards import task_card
from napari_pathlupi.workflows.train_config import TrainConfig

WIDTH = 116
HEAD = """# A study of napari-pathlupi: train with transcriptomes, predict without them.
# pathlupi train THIS_FILE runs it. Paths begin at the folder of this file.
"""
OVERRIDES = "Training: the preset's values; take away the # to change one."


def written(config: StudyConfig) -> str:
    """Return a config as commented TOML, which `read_study` reads back to the same."""
    lines = [HEAD]
    for section in fields(config):
        part = getattr(config, section.name)
        if is_dataclass(part) and not isinstance(part, type):
            lines += [*_comment(_first_line(type(part))), f"[{section.name}]"]
            lines += _keys(type(part), {key.name: getattr(part, key.name) for key in fields(part)})
        else:
            values = {key.name: getattr(config.train, key.name) for key in fields(TrainConfig)}
            lines += [*_comment(OVERRIDES), f"[{section.name}]"]
            lines += _keys(TrainConfig, values, off=values.keys() - config.training.keys())
        lines.append("")
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
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a study ({error}): write one with `pathlupi init train`."
        ) from error
    if task:
        sections["task"] = task_card(task).settings
    for change in changes:
        _change(sections, change)
    return study_of(sections, path.name).rooted(path.resolve().parent)


def study_of(sections: Mapping[str, Any], source: str = "the study") -> StudyConfig:
    """Return the study of nested settings; errors as of `read_study`."""
    config = StudyConfig()
    known = [section.name for section in fields(config)]
    for name, values in sections.items():
        _must_be_one_of(name, known, source, "section")
        if not isinstance(values, Mapping):
            raise SettingsError(f"{source}: {name} is a section, write [{name}] and its keys below it.")
        part = getattr(config, name)
        kind = TrainConfig if name == "training" else type(part)
        checked = {key: _checked(kind, key, value, f"{source}, [{name}]") for key, value in values.items()}
        changed: dict[str, Any] = {name: checked if name == "training" else replace(part, **checked)}
        config = replace(config, **changed)
    _ = config.train  # says what is wrong with it
    return config


def _change(sections: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    section, _, key = name.strip().partition(".")
    if not equals or not key:
        raise SettingsError(f"--set {change!r} is not understood: write section.key=value, as training.steps=500.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    sections.setdefault(section, {})[key] = value


def _checked(kind: type, key: str, value: Any, where: str) -> Any:
    """A value of the type that the field has by default."""
    defaults = {one.name: getattr(kind(), one.name) for one in fields(kind)}
    _must_be_one_of(key, list(defaults), where, "key")
    default = defaults[key]
    if isinstance(default, tuple):
        items = value if isinstance(value, list) else [value]
        return tuple(float(item) if isinstance(item, int) and key == "weights" else item for item in items)
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return dict(value)
    if default is None or (isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)):
        return float(value) if isinstance(value, int) else value
    if type(value) is not type(default):
        raise SettingsError(f"{where}: {key} = {value!r} is not possible, it is like {default!r}.")
    return value


def _must_be_one_of(name: str, known: Sequence[str], where: str, what: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SettingsError(f"{where}: no {what} is called {name!r}: {hint}known: {', '.join(known)}.")


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _keys(kind: type, values: Mapping[str, Any], off: "set[str] | frozenset[str]" = frozenset()) -> list[str]:
    texts, lines, said = field_texts(kind), [], ""
    for name, value in values.items():
        if texts[name] != said:
            lines += _comment(texts[name])
        said = texts[name]
        # nothing in TOML means nothing
        lines.append(f"# {name} =" if value is None else f"{'# ' * (name in off)}{name} = {_toml(value)}")
    return lines


def _comment(text: str) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [f"# {line}" for line in [*lines, line] if line]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
