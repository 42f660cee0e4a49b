"""A pre-training as a TOML file: written with comments from the config dataclasses, read back and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_pathlupi.workflows.config_file import changed, read_sections, section_lines, with_sections
from napari_pathlupi.workflows.pretraining.config import PretrainStudy

HEAD = """# A pre-training of napari-pathlupi: a slide encoder learns to find what was measured of a slide's patient.
# pathlupi pretrain THIS_FILE runs it. Paths begin at the folder of this file. The training is that of Threads, on
# several large GPUs; for a small cohort see docs/how-to/pretrain.md.
"""


def written(config: PretrainStudy) -> str:
    """Return a config as commented TOML, which `read_pretraining` reads back to the same."""
    sections = [
        line for section in fields(config) for line in section_lines(section.name, getattr(config, section.name))
    ]
    return "\n".join([HEAD, *sections])


def read_pretraining(path: str | Path, changes: Sequence[str] = ()) -> PretrainStudy:
    """Return the pre-training in a TOML file.

    Parameters
    ----------
    path
        The file; relative paths in it begin at its folder.
    changes
        "section.key=value" each, as of ``--set``; a value is TOML, or else taken as text.

    Raises
    ------
    SettingsError
        When it cannot be read, or a key or value is none that is known; the message names it.
    """
    path = Path(path)
    return pretraining_of(read_sections(path, changes, "pretrain"), path.name).rooted(path.resolve().parent)


def pretraining_of_changes(sections: Mapping[str, Any], changes: Sequence[str]) -> PretrainStudy:
    """Return the pre-training of nested settings with changes; paths are as they stand."""
    return pretraining_of(changed(sections, changes), "--set")


def pretraining_of(sections: Mapping[str, Any], source: str = "the pre-training") -> PretrainStudy:
    """Return the pre-training of nested settings; errors as of `read_pretraining`."""
    config: PretrainStudy = with_sections(PretrainStudy(), sections, source)
    return config
