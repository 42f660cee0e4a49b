"""What models say of a slide as a whole, in classes; labels: `core.labels`, numbers and times: `core.outlook`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.results import Answer, AnswerRow

NEARLY_SURE = 0.995
"""Probability from which on a headline would round to certainty, which no model has."""
NEARLY_ALL = 0.9995
"""The same for a probability that is written with a digit after the point."""
DECIDED = 0.5
"""Probability from which a tile is counted for the only class of a model (our choice)."""


@dataclass(frozen=True, slots=True)
class ClassProbabilities(Answer):
    """A class for the slide, with the probability of every class.

    Parameters
    ----------
    classes, probabilities, colours
        One entry per class; probabilities sum to 1.
    plausible
        Indices of the conformal set, most probable first; empty where the model has none.
    level
        Share of the cases whose class such a set is to hold.
    folds
        The probabilities that each fold of an ensemble gives alone; empty for a single model.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    colours: tuple[str, ...]
    plausible: tuple[int, ...] = ()
    level: float = 0.0
    folds: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not len(self.classes) == len(self.probabilities) == len(self.colours):
            raise ValueError("classes, probabilities and colours must be of one length")
        if not np.isclose(sum(self.probabilities), 1.0, atol=1e-4):
            raise ValueError(f"probabilities must sum to 1, got {sum(self.probabilities):.4f}")

    @property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def headline(self) -> str:
        return self.classes[self.top]

    @property
    def certainty(self) -> str:
        probability = self.probabilities[self.top]
        return f"{whole_percent(probability)} %"

    @property
    def exclusive(self) -> bool:
        return True

    @property
    def doubt(self) -> str:
        if len(self.plausible) < 2:
            return ""
        every = len(self.plausible) == len(self.classes) > 2
        named = (
            f"any of the {len(self.classes)} classes" if every else either([self.classes[i] for i in self.plausible])
        )
        return f"not sure: {named} ({100 * self.level:g} % set)"

    @property
    def remark(self) -> str:
        alone = f"{100 * self.level:g} % set: {self.headline} alone." if self.plausible else ""
        said = f"{self.doubt[:1].upper()}{self.doubt[1:]}." if self.doubt else alone
        if not self.folds:
            return said
        agree = sum(int(np.argmax(fold)) == self.top for fold in self.folds)
        own = span_of_shares([fold[self.top] for fold in self.folds])
        spread = f"{agree} of {len(self.folds)} folds say {self.headline}, giving it {own}."
        return f"{said} {spread}".strip()

    def rows(self) -> Sequence[AnswerRow]:
        order = np.argsort(self.probabilities)[::-1]
        return [
            AnswerRow(self.classes[i], percent(self.probabilities[i]), self.probabilities[i], self.colours[i])
            for i in order
        ]

    def columns(self) -> Mapping[str, float | str]:
        probabilities = {f"prob_{name}": p for name, p in zip(self.classes, self.probabilities, strict=True)}
        return probabilities | ({"set": "|".join(self.classes[i] for i in self.plausible)} if self.plausible else {})

    def numbers(self) -> Mapping[str, float]:
        return {f"P({name})": p for name, p in zip(self.classes, self.probabilities, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "classification",
            "class": self.headline,
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
            "set": [self.classes[i] for i in self.plausible] or None,
            "set_level": self.level if self.plausible else None,
            "folds": [dict(zip(self.classes, fold, strict=True)) for fold in self.folds],
        }


@dataclass(frozen=True, slots=True)
class NearestPrompt(ClassProbabilities):
    """Which of several molecular prompts a slide is nearest to; its "probabilities" are scores and are called so."""

    @property
    def certainty(self) -> str:
        return f"{self.probabilities[self.top]:.2f}"

    @property
    def remark(self) -> str:
        return f"Nearest of {len(self.classes)} molecular prompts. The scores add up to 1 and are no probabilities."

    def rows(self) -> Sequence[AnswerRow]:
        return [replace(row, text=f"{row.share:.2f}") for row in ClassProbabilities.rows(self)]

    def numbers(self) -> Mapping[str, float]:
        return {f"Score({name})": p for name, p in zip(self.classes, self.probabilities, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        scores = dict(zip(self.classes, self.probabilities, strict=True))
        return {"type": "nearest prompt", "class": self.headline, "scores": scores}


def span(numbers: Sequence[float], form: str) -> str:
    """Return the least and the largest as "41 to 63", or the one number that both are when written so."""
    low, high = format(min(numbers), form), format(max(numbers), form)
    return low if low == high else f"{low} to {high}"


def span_of_shares(shares: Sequence[float]) -> str:
    """Return the least and the largest as "41 to 63 %", neither rounded to never or always."""
    low, high = whole_percent(min(shares)), whole_percent(max(shares))
    return f"{low} %" if low == high else f"{low} to {high} %"


def whole_percent(share: float) -> str:
    """Return a probability as "41", or that it lies beside never or always."""
    if 1 - NEARLY_SURE <= share < NEARLY_SURE:
        return f"{100 * share:.0f}"
    return "< 1" if share < 0.5 else "> 99"


def percent(share: float) -> str:
    """Return a probability as "41.3 %"; what would round to never or always is said to lie beside it."""
    if 0.0005 <= share < NEARLY_ALL:
        return f"{100 * share:.1f} %"
    return "< 0.1 %" if share < 0.5 else "> 99.9 %"


def either(names: Sequence[str]) -> str:
    """Return names as "A, B or C"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


@dataclass(frozen=True, slots=True)
class TileShares(Answer):
    """Which share of the tiles is of each class.

    Parameters
    ----------
    classes, shares, means, colours
        One entry per class: its share of the tiles, the mean of its probability over them, and its hex colour.
    """

    classes: tuple[str, ...]
    shares: tuple[float, ...]
    means: tuple[float, ...]
    colours: tuple[str, ...]

    @classmethod
    def of(cls, classes: Sequence[str], probabilities: npt.NDArray[np.float32], colours: Sequence[str]) -> "TileShares":
        """Return the shares of (N, C) probabilities: each tile counts for its most probable class.

        Of a model of one class, a tile counts from a probability of `DECIDED` on.
        """
        if len(classes) == 1:
            shares = [float((probabilities[:, 0] >= DECIDED).mean())]
        else:
            counts = np.bincount(probabilities.argmax(axis=1), minlength=len(classes))
            shares = [float(count) / len(probabilities) for count in counts]
        means = [float(mean) for mean in probabilities.mean(axis=0, dtype=np.float64)]
        return cls(tuple(classes), tuple(shares), tuple(means), tuple(colours))

    @property
    def top(self) -> int:
        """Index of the commonest class."""
        return int(np.argmax(self.shares))

    @property
    def headline(self) -> str:
        return self.classes[self.top]

    @property
    def certainty(self) -> str:
        return f"{100 * self.shares[self.top]:.0f} % of the tiles"

    @property
    def exclusive(self) -> bool:
        return True

    def rows(self) -> Sequence[AnswerRow]:
        order = np.argsort(self.shares)[::-1]
        texts = [f"{100 * share:.1f} % of the tiles" for share in self.shares]
        return [AnswerRow(self.classes[i], texts[i], self.shares[i], self.colours[i]) for i in order]

    def columns(self) -> Mapping[str, float | str]:
        return {f"prob_{name}": mean for name, mean in zip(self.classes, self.means, strict=True)}

    def numbers(self) -> Mapping[str, float]:
        shares = {f"Tiles of {name} (share)": share for name, share in zip(self.classes, self.shares, strict=True)}
        return shares | {f"P({name}) (mean)": mean for name, mean in zip(self.classes, self.means, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "tile classification",
            "class": self.headline,
            "shares": dict(zip(self.classes, self.shares, strict=True)),
            "mean_probabilities": dict(zip(self.classes, self.means, strict=True)),
        }
