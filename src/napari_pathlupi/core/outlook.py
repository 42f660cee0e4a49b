"""What models say of a slide as a whole, in values, risks and times; classes and labels are in `core.answers`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_pathlupi.core.answers import span, span_of_shares, whole_percent
from napari_pathlupi.core.results import Answer, AnswerRow


@dataclass(frozen=True, slots=True)
class Values(Answer):
    """One value or several, each with its unit.

    Parameters
    ----------
    names, values
        One entry per value.
    unit
        Of all of them, "" for none.
    ranges
        Per value the least and largest of the training cases, between which its bar is drawn.
    margins
        Per value the distance to either end of its conformal interval; empty where the model has none.
    level
        Share of the cases whose value such an interval is to hold.
    folds
        The values that each fold of an ensemble gives alone; empty for a single model.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    unit: str
    ranges: tuple[tuple[float, float], ...]
    margins: tuple[float, ...] = ()
    level: float = 0.0
    folds: tuple[tuple[float, ...], ...] = ()

    @property
    def headline(self) -> str:
        return self.names[0]

    @property
    def certainty(self) -> str:
        return self._with_unit(f"{self.values[0]:.3g}")

    def _with_unit(self, text: str) -> str:
        return f"{text} {self.unit}".strip()

    @property
    def remark(self) -> str:
        said = []
        if self.margins:
            ends = [f"{value - m:.3g} to {value + m:.3g}" for value, m in zip(self.values, self.margins, strict=True)]
            several = [f"{name} {words}" for name, words in zip(self.names, ends, strict=True)]
            said.append(
                f"{100 * self.level:g} % interval: {self._with_unit(', '.join(several if self.names[1:] else ends))}."
            )
        if self.folds:
            own = [span([fold[k] for fold in self.folds], ".3g") for k in range(len(self.names))]
            several = [f"{name} {words}" for name, words in zip(self.names, own, strict=True)]
            given = ", ".join(several if self.names[1:] else own)
            said.append(f"The {len(self.folds)} folds give {self._with_unit(given)}.")
        return " ".join(said)

    def rows(self) -> Sequence[AnswerRow]:
        rows = []
        for name, value, (low, high) in zip(self.names, self.values, self.ranges, strict=True):
            share = float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.5
            rows.append(AnswerRow(name, self._with_unit(f"{value:.3g}"), share))
        return rows

    def columns(self) -> Mapping[str, float | str]:
        return {f"value_{name}": value for name, value in zip(self.names, self.values, strict=True)}

    def numbers(self) -> Mapping[str, float]:
        unit = f" ({self.unit})" if self.unit else ""
        return {f"{name}{unit}": value for name, value in zip(self.names, self.values, strict=True)}

    def as_dict(self) -> dict[str, Any]:
        ends = (
            [[value - m, value + m] for value, m in zip(self.values, self.margins, strict=True)] if self.margins else []
        )
        return {
            "type": "regression",
            "values": dict(zip(self.names, self.values, strict=True)),
            "unit": self.unit,
            "intervals": dict(zip(self.names, ends, strict=True)) if ends else None,
            "interval_level": self.level if ends else None,
            "folds": [dict(zip(self.names, fold, strict=True)) for fold in self.folds],
        }


@dataclass(frozen=True, slots=True)
class Risk(Answer):
    """A risk that orders cases, and what it means among the cases the model was validated on.

    Parameters
    ----------
    endpoint
        What happens, or is survived, in words.
    risk
        Higher is worse. The log of the hazard for Cox's model; without a unit.
    below
        Share of the validation cases with a lower risk; None where the model does not say.
    cases
        How many of those there were.
    folds
        The risks that each fold of an ensemble gives alone; empty for a single model.
    """

    endpoint: str
    risk: float
    below: float | None = None
    cases: int = 0
    folds: tuple[float, ...] = ()

    @property
    def headline(self) -> str:
        return "Risk"

    @property
    def certainty(self) -> str:
        return f"{self.risk:+.2g}" if self.below is None else _standing(self.below, self.cases)

    @property
    def remark(self) -> str:
        said = [f"Of {self.endpoint}, by Cox's model: it orders cases and states no time."]
        if self.folds:
            said.append(f"The {len(self.folds)} folds give {span(self.folds, '+.2g')}.")
        return " ".join(said)

    def rows(self) -> Sequence[AnswerRow]:
        hazard = f"log hazard {self.risk:+.2g}"
        if self.below is None:
            return [AnswerRow("Risk", hazard, float(0.5 * (1 + np.tanh(self.risk / 2))))]
        standing = _standing(self.below, self.cases)
        return [AnswerRow(f"{standing[:1].upper()}{standing[1:]}", hazard, self.below)]

    def columns(self) -> Mapping[str, float | str]:
        return {"risk": self.risk}

    def numbers(self) -> Mapping[str, float]:
        return {"Risk (log hazard)": self.risk} | ({} if self.below is None else {"Risk (share below)": self.below})

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "risk",
            "endpoint": self.endpoint,
            "risk": self.risk,
            "share_of_cases_below": self.below,
            "cases": self.cases,
            "folds": list(self.folds),
        }


@dataclass(frozen=True, slots=True)
class SurvivalCurve(Answer):
    """How likely it is to go without the event up to some times.

    Parameters
    ----------
    endpoint
        What is survived: "overall survival".
    unit
        Of the times: "days", "months" or "years".
    times, survival
        Ascending times and the probability of going without the event up to each.
    below
        Share of the validation cases with a lower risk; None where the model does not say.
    cases
        How many of those there were.
    folds
        The survival that each fold of an ensemble gives alone; empty for a single model.
    """

    endpoint: str
    unit: str
    times: tuple[float, ...]
    survival: tuple[float, ...]
    below: float | None = None
    cases: int = 0
    folds: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(self.times) != len(self.survival) or not self.times:
            raise ValueError("one probability per time is needed")

    @property
    def risk(self) -> float:
        """Minus the sum of the survival, as PathLUPI's published models are read: higher is worse."""
        return -float(sum(self.survival))

    @property
    def middle(self) -> int:
        """Index of the time that is spoken of: the end of the middle bin (our choice)."""
        return (len(self.times) - 1) // 2

    @property
    def median(self) -> str:
        """When half have had the event, as exactly as the bins say; or that this is not reached."""
        texts = told(self.times)
        reached = [i for i, share in enumerate(self.survival) if share <= 0.5]
        if not reached:
            return f"median not reached within {texts[-1]} {self.unit}"
        first = reached[0]
        if not first:
            return f"median within {texts[0]} {self.unit}"
        return f"median between {texts[first - 1]} and {texts[first]} {self.unit}"

    @property
    def headline(self) -> str:
        return "Survival" if self.below is None else "Risk"

    @property
    def certainty(self) -> str:
        if self.below is not None:
            return _standing(self.below, self.cases)
        return f"{whole_percent(self.survival[self.middle])} % at {told(self.times)[self.middle]} {self.unit}"

    @property
    def remark(self) -> str:
        said = f"{self.endpoint[:1].upper()}{self.endpoint[1:]}: {self.median}."
        if not self.folds:
            return said
        own = span_of_shares([fold[self.middle] for fold in self.folds])
        at = f"at {told(self.times)[self.middle]} {self.unit}"
        return f"{said} The {len(self.folds)} folds give {own} {at}."

    def rows(self) -> Sequence[AnswerRow]:
        return [
            AnswerRow(f"at {text} {self.unit}", f"{100 * share:.0f} %", share)
            for text, share in zip(told(self.times), self.survival, strict=True)
        ]

    def columns(self) -> Mapping[str, float | str]:
        return {"risk": self.risk} | {f"survival_{t:g}": s for t, s in zip(self.times, self.survival, strict=True)}

    def numbers(self) -> Mapping[str, float]:
        curve = {f"Survival at {t:g} {self.unit}": s for t, s in zip(self.times, self.survival, strict=True)}
        return {"Risk": self.risk} | curve | ({} if self.below is None else {"Risk (share below)": self.below})

    def as_dict(self) -> dict[str, Any]:
        return {
            "type": "survival",
            "endpoint": self.endpoint,
            "risk": self.risk,
            "share_of_cases_below": self.below,
            "cases": self.cases,
            "unit": self.unit,
            "curve": [{"time": t, "survival": s} for t, s in zip(self.times, self.survival, strict=True)],
            "median": self.median,
            "folds": [list(fold) for fold in self.folds],
        }


def _standing(below: float, cases: int) -> str:
    """No share is told as all or none: the validation cases are not all there are."""
    if not 0.005 <= below < 0.995:
        return f"{'above' if below > 0.5 else 'below'} nearly all of {cases} cases"
    return f"above {100 * below:.0f} % of {cases} cases"


def told(times: Sequence[float]) -> tuple[str, ...]:
    """Return times as exactly as they deserve: whole from 10 on, else one digit after the point; more to differ."""
    for more in range(5):
        texts = tuple(f"{time:.{more + (time < 10)}f}" for time in times)
        if len(set(texts)) == len(set(times)):
            break
    return tuple(text.rstrip("0").rstrip(".") if "." in text else text for text in texts)
