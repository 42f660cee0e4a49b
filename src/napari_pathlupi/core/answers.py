"""What models say of a slide as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.results import Answer, AnswerRow

DECIDED = 0.5
"""Probability from which a tile is counted for the only class of a model (our choice)."""


@dataclass(frozen=True, slots=True)
class ClassProbabilities(Answer):
    """A class for the slide, with the probability of every class.

    Parameters
    ----------
    classes, probabilities, colours
        One entry per class; probabilities sum to 1.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    colours: tuple[str, ...]

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
        return f"{100 * self.probabilities[self.top]:.0f} %"

    def rows(self) -> Sequence[AnswerRow]:
        order = np.argsort(self.probabilities)[::-1]
        return [
            AnswerRow(self.classes[i], f"{100 * self.probabilities[i]:.1f} %", self.probabilities[i], self.colours[i])
            for i in order
        ]

    def numbers(self) -> Mapping[str, float]:
        return {f"P({name})": p for name, p in zip(self.classes, self.probabilities, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "classification",
            "class": self.headline,
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
        }


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

    def rows(self) -> Sequence[AnswerRow]:
        order = np.argsort(self.shares)[::-1]
        texts = [f"{100 * share:.1f} % of the tiles" for share in self.shares]
        return [AnswerRow(self.classes[i], texts[i], self.shares[i], self.colours[i]) for i in order]

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
