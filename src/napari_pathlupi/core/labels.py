"""What models say of a slide as a whole, in labels that may hold at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_pathlupi.core.answers import DECIDED, either, percent, span_of_shares
from napari_pathlupi.core.results import Answer, AnswerRow

YES_NO = {(True, False): "no", (False, True): "yes", (True, True): "yes|no"}
"""How the set of a label is written, by whether it holds no and yes."""


@dataclass(frozen=True, slots=True)
class LabelProbabilities(Answer):
    """Several labels that may hold at once, each with its probability.

    Parameters
    ----------
    labels, probabilities, colours
        One entry per label; each probability is of its own.
    folds
        The probabilities that each fold of an ensemble gives alone; empty for a single model.
    possible
        Per label whether its conformal set holds no, and whether it holds yes; empty where the model has none.
    level
        Share of the cases whose truth such a set is to hold, label by label.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    colours: tuple[str, ...]
    folds: tuple[tuple[float, ...], ...] = ()
    possible: tuple[tuple[bool, bool], ...] = ()
    level: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.probabilities) == len(self.colours):
            raise ValueError("labels, probabilities and colours must be of one length")

    @property
    def present(self) -> tuple[str, ...]:
        """The labels with a probability of at least `DECIDED`, the most probable first."""
        return tuple(self.labels[i] for i in self._order() if self.probabilities[i] >= DECIDED)

    def _order(self) -> list[int]:
        return [int(i) for i in np.argsort(self.probabilities)[::-1]]

    @property
    def headline(self) -> str:
        return ", ".join(self.present) or "None"

    @property
    def certainty(self) -> str:
        return f"({len(self.present)} of {len(self.labels)} labels)"

    @property
    def undecided(self) -> tuple[str, ...]:
        """The labels whose set holds both yes and no, the most probable first."""
        return tuple(self.labels[i] for i in self._order() if self.possible and all(self.possible[i]))

    @property
    def doubt(self) -> str:
        if not self.undecided:
            return ""
        every = len(self.undecided) == len(self.labels) > 2
        named = f"any of the {len(self.labels)} labels" if every else either(self.undecided)
        return f"not sure of {named} ({100 * self.level:g} % sets)"

    @property
    def remark(self) -> str:
        decided = f"{100 * self.level:g} % sets: no label is left open." if self.possible else ""
        said = f"{self.doubt[:1].upper()}{self.doubt[1:]}." if self.doubt else decided
        return " ".join(filter(None, (said, self._spread())))

    def _spread(self) -> str:
        if not self.folds:
            return ""
        spreads = [max(fold[i] for fold in self.folds) - min(fold[i] for fold in self.folds) for i in self._order()]
        widest = self._order()[int(np.argmax(spreads))]
        own = span_of_shares([fold[widest] for fold in self.folds])
        return f"The {len(self.folds)} folds differ most in {self.labels[widest]}: {own}."

    def rows(self) -> Sequence[AnswerRow]:
        texts = [percent(p) for p in self.probabilities]
        return [AnswerRow(self.labels[i], texts[i], self.probabilities[i], self.colours[i]) for i in self._order()]

    def columns(self) -> Mapping[str, float | str]:
        sets = {f"set_{name}": one for name, one in self._sets().items()}
        return {f"prob_{name}": p for name, p in zip(self.labels, self.probabilities, strict=True)} | sets

    def _sets(self) -> dict[str, str]:
        """What each label's set holds, as a word of `YES_NO`."""
        pairs = zip(self.labels, self.possible, strict=bool(self.possible))
        return {name: YES_NO[pair] for name, pair in pairs}

    def numbers(self) -> Mapping[str, float]:
        return {f"P({name})": p for name, p in zip(self.labels, self.probabilities, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "multilabel",
            "labels": list(self.present),
            "probabilities": dict(zip(self.labels, self.probabilities, strict=True)),
            "sets": self._sets() or None,
            "set_level": self.level if self.possible else None,
            "folds": [dict(zip(self.labels, fold, strict=True)) for fold in self.folds],
        }
