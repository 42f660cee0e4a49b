"""What the cases that were held back say of a model's numbers; it travels with the model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_pathlupi.errors import MismatchError


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a model's numbers can be believed, found on validation cases that it did not learn from.

    `napari_pathlupi.evaluation.calibration` fits it, a bundle's card carries it, `Task.answer` applies it.

    Parameters
    ----------
    cases
        How many validation cases it was fitted on.
    temperature
        What the outputs are divided by before they become probabilities (Guo et al., ICML 2017); 1 changes nothing.
    level
        Share of the cases whose truth the set or interval is to hold.
    thresholds
        Split-conformal: the largest score that still belongs to the set. One for all, or one per class; the score is 1
        - probability for a class, and the distance from the truth for a value (one per value). Of labels that may hold
        at once one per label, or two, of no and of yes. Empty: no sets.
    risks
        Ascending quantiles of the validation cases' risks at even steps from 0 to 1; empty without survival.
    coverage, coverage_cases
        Share of the test cases whose set or interval held the truth, and how many there were; None if not measured.
    """

    cases: int
    temperature: float = 1.0
    level: float = 0.9
    thresholds: tuple[float, ...] = ()
    risks: tuple[float, ...] = ()
    coverage: float | None = None
    coverage_cases: int = 0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.level < 1 and self.cases >= 0):
            raise ValueError(
                f"a temperature above 0 and a level between 0 and 1 are needed, got {self.temperature:g} and "
                f"{self.level:g} from {self.cases} cases"
            )

        numbers = [*self.thresholds, *self.risks]
        if not np.isfinite(numbers).all() or np.any(np.diff(self.risks) < 0):
            raise ValueError(f"finite thresholds and ascending risks are needed, got {numbers[:5]}")

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values; ``Calibration.of`` reads them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Calibration":
        """Return what `as_dict` wrote."""
        known: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**known)

    @property
    def classwise(self) -> bool:
        """Whether every class has a threshold of its own, so that the level holds for each class."""
        return len(self.thresholds) > 1

    def plausible(self, probabilities: Sequence[float]) -> tuple[int, ...]:
        """Return the classes of the conformal set, the most probable first; none where there are no thresholds.

        The most probable class always belongs to it (our choice: an empty set helps nobody, and the level still holds).
        """
        if not self.thresholds:
            return ()
        limits = self.thresholds if self.classwise else self.thresholds * len(probabilities)
        if len(limits) != len(probabilities):
            raise MismatchError(f"{len(limits)} classes are calibrated, the model has {len(probabilities)}.")
        order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
        return tuple(i for rank, i in enumerate(order) if not rank or 1 - probabilities[i] <= limits[i])

    def possible(self, probabilities: Sequence[float]) -> tuple[tuple[bool, bool], ...]:
        """Return for each label whether no and whether yes belong to its set; none where there are no thresholds.

        As with classes, the more probable of the two always belongs to it.
        """
        if not self.thresholds:
            return ()
        count, labels = len(self.thresholds), len(probabilities)
        if count not in (labels, 2 * labels):
            raise MismatchError(f"{count} thresholds are calibrated for {labels} labels: one or two each are needed.")
        limits = np.broadcast_to(np.reshape(self.thresholds, (labels, -1)), (labels, 2)).tolist()
        pairs = zip(probabilities, limits, strict=True)
        return tuple((p < 0.5 or p <= no, p >= 0.5 or 1 - p <= yes) for p, (no, yes) in pairs)

    def share_below(self, risk: float) -> float | None:
        """Return the share of the validation cases with a lower risk; None where none is known."""
        if not self.risks:
            return None
        return float(np.interp(risk, self.risks, np.linspace(0, 1, len(self.risks)), left=0.0, right=1.0))
