"""Where the weights of an encoder are on this machine, and what stands in the way if they are not; no network is asked.

Looked at in this order: what the caller names; the file or folder that is called like the encoder, or its repository,
in the folder ``PATHLUPI_WEIGHTS``; what ``pathlupi encoders use`` keeps in ``encoders.json`` of the settings folder;
the cache of the Hugging Face Hub.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_pathlupi.core.settings import config_folder
from napari_pathlupi.errors import SettingsError, WeightsError
from napari_pathlupi.patch_encoders._published import INSTALL, Architecture, Weights

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the user has said of encoders.

    Parameters
    ----------
    weights
        Files or folders, by `PretrainedEncoder.file_name`.
    licences
        Those of them whose licence the user says to have accepted where it is given out.
    """

    weights: dict[str, str] = field(default_factory=dict)
    licences: tuple[str, ...] = ()


def kept_file() -> Path:
    """Return the file that holds `Kept`."""
    return config_folder() / "encoders.json"


def kept() -> Kept:
    """Return what the user has said of encoders so far.

    Raises
    ------
    SettingsError
        When the file cannot be read.
    """
    try:
        content: Any = json.loads(kept_file().read_bytes())
        weights = {str(name): str(place) for name, place in content["weights"].items()}
        return Kept(weights, tuple(map(str, content["licences"])))
    except (FileNotFoundError, NotADirectoryError):
        return Kept()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{kept_file()}, which keeps where your encoders are, cannot be read ({error}): mend or delete it."
        ) from error


def find(weights: Weights, names: tuple[str, ...], named: Path | None = None) -> Path | None:
    """Return the file with the weights of an encoder of these names; see `PretrainedEncoder.find`."""
    if named is not None:
        return _file_at(named, weights, f"named for {names[0]}")
    folder = os.environ.get("PATHLUPI_WEIGHTS")
    for place in _called((*names, weights.repository.rpartition("/")[2]), Path(folder)) if folder else ():
        return _file_at(place, weights, f"in PATHLUPI_WEIGHTS for {names[0]}")
    known = kept().weights.get(weights.repository or names[0])
    return _file_at(Path(known), weights, f"kept for {names[0]}") if known else _in_hub_cache(weights)


def _called(names: Iterable[str], folder: Path) -> Iterable[Path]:
    possible = (folder / f"{name}{suffix}" for name in names if name for suffix in ("", *SUFFIXES))
    return (place for place in possible if place.exists())


def _file_at(place: Path, weights: Weights, what: str) -> Path:
    if place.is_file():
        return place
    for name in weights.files:
        if (place / name).is_file():
            return place / name
    if place.is_dir():
        files = [file for file in place.iterdir() if file.suffix in SUFFIXES]
        if len(files) == 1:
            return files[0]
        raise WeightsError(
            f"{place}, {what}, holds {len(files)} files that could be its weights: name the file itself."
        )
    raise WeightsError(f"{place}, {what}, does not exist: name the file with the weights, or its folder.")


def _in_hub_cache(weights: Weights) -> Path | None:
    if not weights.repository or find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = (try_to_load_from_cache(weights.repository, file) for file in weights.files)
    return next((Path(place) for place in cached if isinstance(place, str)), None)


def missing_libraries(architecture: Architecture) -> str:
    """Return a sentence on what to install first, "" when all is there (whether it works shows when it is loaded)."""
    missing = [name for name in architecture.requires if find_spec(name) is None]
    if not missing:
        return ""
    commands = dict.fromkeys(INSTALL.get(name, INSTALL[""]) for name in missing)
    return f"This encoder needs {' and '.join(missing)}: {'; '.join(commands)}"


def token() -> str | None:
    """Return the user's token for the Hub: ``HF_TOKEN``, or what ``hf auth login`` keeps."""
    if find_spec("huggingface_hub") is None:
        return os.environ.get("HF_TOKEN")
    from huggingface_hub import get_token

    known: str | None = get_token()
    return known
