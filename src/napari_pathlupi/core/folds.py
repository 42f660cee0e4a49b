"""Which cases a model learns from, is chosen by and is tested on, fold by fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import MismatchError

Rows = npt.NDArray[np.int64]


class Role(IntEnum):
    """What a case does in one fold."""

    UNUSED = 0
    TRAIN = 1
    VALIDATION = 2
    TEST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """What each case does in each fold: one role per case and fold, so nobody is on both sides.

    Parameters
    ----------
    cases
        Names of the cases, each once.
    roles
        (cases, folds) a `Role` each.
    source
        Where the split comes from, in words.
    """

    cases: tuple[str, ...]
    roles: npt.NDArray[np.int8]
    source: str = ""

    def __post_init__(self) -> None:
        each_once(self.cases)
        if self.roles.ndim != 2 or len(self.roles) != len(self.cases) or not self.roles.shape[1]:
            raise MismatchError(
                f"{len(self.cases)} cases and roles of the shape {self.roles.shape}: one row per case is needed, and "
                "at least one fold."
            )

    def __len__(self) -> int:
        return int(self.roles.shape[1])

    def train(self, fold: int) -> Rows:
        """Return the rows of the cases to learn from."""
        return np.flatnonzero(self.roles[:, fold] == Role.TRAIN)

    def validation(self, fold: int) -> Rows:
        """Return the rows of the cases to choose by; none where the split states none."""
        return np.flatnonzero(self.roles[:, fold] == Role.VALIDATION)

    def test(self, fold: int) -> Rows:
        """Return the rows of the cases that are looked at once, at the end."""
        return np.flatnonzero(self.roles[:, fold] == Role.TEST)

    def of(self, names: Sequence[str]) -> "Folds":
        """Return the split of these cases, in their order; who is not in it is not used in any fold."""
        place = {name: row for row, name in enumerate(self.cases)}
        roles = np.full((len(names), len(self)), Role.UNUSED, dtype=np.int8)
        for row, name in enumerate(names):
            if name in place:
                roles[row] = self.roles[place[name]]
        return replace(self, cases=tuple(names), roles=roles)

    def as_columns(self) -> dict[str, list[str]]:
        """Return the columns of a table: case_id, and fold_0, fold_1 … with train, val, test or nothing."""
        words = {Role.UNUSED: "", Role.TRAIN: "train", Role.VALIDATION: "val", Role.TEST: "test"}
        folds = {f"fold_{k}": [words[Role(role)] for role in self.roles[:, k]] for k in range(len(self))}
        return {"case_id": list(self.cases), **folds}


def each_once(names: Sequence[str]) -> None:
    """Raise `MismatchError` unless every name is there once."""
    if len(set(names)) < len(names):
        twice = next(name for row, name in enumerate(names) if name in names[:row])
        raise MismatchError(f"the case {twice} is there twice: a patient is one case, with all its slides.")
