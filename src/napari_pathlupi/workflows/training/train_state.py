"""Where a training is, on disk: whole or not there, and read without running anything in it."""

import hashlib
import json
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.errors import MismatchError, OutputError
from napari_pathlupi.export._whole_file import write_whole

if TYPE_CHECKING:
    from napari_pathlupi.workflows.prediction.model import SlideModel
    from napari_pathlupi.workflows.training.bags import TrainingCases
    from napari_pathlupi.workflows.training.train_config import TrainConfig

Network = TypeVar("Network", bound=torch.nn.Module)
DAMAGED = (OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError, pickle.UnpicklingError)
"""What torch raises of a file that it did not write, or not to its end."""
NO_INFLUENCE = ("device", "save_every", "accumulate")
"""Settings that may change between two parts of a run."""


class Check(NamedTuple):
    """What was seen at a check: the mean loss since the last, and the score on the validation cases."""

    step: int
    loss: float
    score: float


@dataclass(slots=True, eq=False)
class State(Generic[Network]):
    """All that changes while training.

    Parameters
    ----------
    model, optimiser, scaler
        What learns.
    made_from
        Names settings and cases: another training's state is refused.
    step
        Steps that are done.
    checks, losses
        The checks so far, and the losses since the last.
    """

    model: Network
    optimiser: torch.optim.Optimizer
    scaler: Any
    made_from: str
    step: int = 0
    checks: list[Check] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def new_state(model: "SlideModel", config: "TrainConfig", cases: "TrainingCases") -> "State[SlideModel]":
    """Return the state before the first step."""
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=config.weight_decay)
    scaler = torch.amp.GradScaler(torch.device(config.device).type, enabled=config.amp == "fp16")
    arrays = (cases.wanted, cases.targets, cases.owners, cases.looked_at.tiles, cases.looked_at.sums)
    made_from = digest_of(config, NO_INFLUENCE, model.recipe.model_dump_json(), arrays)
    return State(model, optimiser, scaler, made_from)


def digest_of(config: Any, no_influence: Iterable[str], words: str, arrays: Iterable[npt.NDArray[Any] | None]) -> str:
    """Return what names a training: its settings but those that change nothing, what is built, and the cases."""
    settings = {name: value for name, value in as_dict(config).items() if name not in no_influence}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=dict).encode())
    digest.update(words.encode())
    for array in arrays:
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_state(path: Path, state: State[Any]) -> None:
    """Write a state, whole or not at all.

    Raises
    ------
    OutputError
        When the folder is missing or full.
    """
    parts = {
        "made_from": state.made_from,
        "step": state.step,
        "checks": [tuple(check) for check in state.checks],
        "losses": state.losses,
        "model": state.model.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "scaler": state.scaler.state_dict(),
    }
    content = BytesIO()
    torch.save(parts, content)
    write_whole(path, content.getvalue())


def read_state(path: Path, state: State[Any]) -> None:
    """Bring a new state to where a file says the training was.

    Raises
    ------
    MismatchError
        When it is of other settings or cases.
    OutputError
        When it is damaged.
    """
    device = next(state.model.parameters()).device
    try:
        parts = torch.load(path, map_location=device, weights_only=True)
        same = parts["made_from"] == state.made_from
    except DAMAGED as error:
        raise OutputError(f"{path} is damaged ({error}): delete it, and that training begins anew.") from error
    if not same:
        raise MismatchError(
            f"{path} is of a training with other settings or cases: choose another folder for this run, or delete it."
        )
    state.model.load_state_dict(parts["model"])
    state.optimiser.load_state_dict(parts["optimiser"])
    state.scaler.load_state_dict(parts["scaler"])
    state.step, state.losses = parts["step"], list(parts["losses"])
    state.checks[:] = [Check(*check) for check in parts["checks"]]
