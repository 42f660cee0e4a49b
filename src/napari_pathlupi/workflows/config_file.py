"""Config dataclasses as sections of a TOML file: written with comments from their docstrings, read and checked."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from napari_pathlupi.core.settings import field_texts
from napari_pathlupi.errors import SettingsError, did_you_mean, reason_of

WIDTH = 116


def section_lines(name: str, part: Any) -> list[str]:
    """Return the lines of a section: what the dataclass is, then a key with its meaning for each field."""
    values = {key.name: getattr(part, key.name) for key in fields(part)}
    return [*comment_lines(_first_line(type(part))), f"[{name}]", *key_lines(type(part), values), ""]


def key_lines(kind: type, values: Mapping[str, Any], off: "set[str] | frozenset[str]" = frozenset()) -> list[str]:
    """Return a commented line for each value; those of ``off`` are comments themselves."""
    texts, lines, said = field_texts(kind), [], ""
    for name, value in values.items():
        if texts[name] != said:
            lines += comment_lines(texts[name])
        said = texts[name]
        # nothing in TOML means nothing
        lines.append(f"# {name} =" if value is None else f"{'# ' * (name in off)}{name} = {_toml(value)}")
    return lines


def comment_lines(text: str) -> list[str]:
    """Return a text as TOML comments."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) + 1 > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return [f"# {line}" for line in [*lines, line] if line]


def read_sections(
    path: Path, changes: Sequence[str], kind: str, replaced: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a TOML file holds, with changes.

    Parameters
    ----------
    path
        The file.
    changes
        "section.key=value" each; a value is TOML, or else taken as text.
    kind
        What `pathlupi init` writes such files as.
    replaced
        Sections that take the place of those in the file, before the changes.

    Raises
    ------
    SettingsError
        When it cannot be read, or a change is not understood.
    """
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a study ({reason_of(error)}): write one with `pathlupi init {kind}`."
        ) from error
    sections.update(replaced or {})
    return changed(sections, changes)


def changed(sections: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return nested settings with changes; arguments and errors as of `read_sections`."""
    result = {name: dict(values) if isinstance(values, Mapping) else values for name, values in sections.items()}
    for change in changes:
        _change(result, change)
    return result


def checked_values(kind: type, values: Any, section: str, source: str) -> dict[str, Any]:
    """Return the values of a section, each of the type that the field of the dataclass has by default.

    Raises
    ------
    SettingsError
        When it is no section, or a key or value is none that is known; the message names it.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{source}: {section} is a section, write [{section}] and its keys below it.")
    return {key: _checked(kind, key, value, f"{source}, [{section}]") for key, value in values.items()}


def with_sections(config: Any, sections: Mapping[str, Any], source: str, **kinds: type) -> Any:
    """Return a config with what nested settings say; errors as of `checked_values`.

    ``kinds`` are the dataclasses whose fields a section may set that is kept as a mapping of what was set.
    """
    known = [section.name for section in fields(config)]
    for name, values in sections.items():
        must_be_one_of(name, known, source, "section")
        part = getattr(config, name)
        checked: Any = checked_values(kinds.get(name, type(part)), values, name, source)
        config = replace(config, **{name: checked if name in kinds else replace(part, **checked)})
    return config


def must_be_one_of(name: str, known: Sequence[str], where: str, what: str) -> None:
    """Raise a SettingsError that suggests the nearest, unless a name is known."""
    if name not in known:
        hint = did_you_mean(name, known)
        raise SettingsError(f"{where}: no {what} is called {name!r}: {hint}known: {', '.join(known)}.")


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
    defaults = {one.name: getattr(kind(), one.name) for one in fields(kind)}
    must_be_one_of(key, list(defaults), where, "key")
    default = defaults[key]
    if isinstance(default, tuple):
        item_kind = get_args({one.name: one.type for one in fields(kind)}[key])[0]
        like = item_kind()
        return tuple(_alike(one, like, key, where) for one in (value if isinstance(value, list) else [value]))
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return dict(value)
    return _alike(value, 0.0 if default is None else default, key, where)  # what may be left out is a number


def _alike(value: Any, like: Any, key: str, where: str) -> Any:
    if isinstance(like, float) and type(value) is int:
        return float(value)
    if type(value) is not type(like):
        raise SettingsError(f"{where}: {key} = {value!r} is not possible, it is like {like!r}.")
    return value


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        items = ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {items} }}" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
