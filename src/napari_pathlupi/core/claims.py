"""Whether what a model claims of gene sets was ever right: held against expression that was measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

FEW_CASES = 10
"""With fewer nothing is said: an interval by resampling them means little (our choice)."""
BY_CHANCE = 0.025
"""Share of the 95 % intervals that lie above 0 where nothing is to be found."""
NEVER = "It was never held against measured expression."
"""What is said of a claim that nobody has checked."""


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """How the activity claimed of cases that a fold did not learn from went with what was measured of them.

    Parameters
    ----------
    r
        Pearson's correlation within a fold, the mean over the folds; NaN where the cases cannot say.
    low, high
        Ends of its 95 % interval over cases.
    cases
        How many were tested and measured.
    """

    r: float
    low: float
    high: float
    cases: int

    @classmethod
    def of(cls, entry: tuple[float | None, float | None, float | None, int]) -> "ClaimCheck":
        """Return what the card of a model says; None is NaN."""
        r, low, high = (math.nan if number is None else number for number in entry[:3])
        return cls(r, low, high, entry[3])

    @property
    def entry(self) -> tuple[float | None, float | None, float | None, int]:
        """What a card holds of it: two decimals."""
        r, low, high = (_rounded(number) if math.isfinite(number) else None for number in (self.r, self.low, self.high))
        return r, low, high, self.cases

    @property
    def known(self) -> bool:
        """Whether the cases can say."""
        return math.isfinite(self.r + self.low + self.high)

    @property
    def follows(self) -> bool:
        """Whether the interval, as it is printed, lies above 0."""
        return _rounded(self.low) > 0

    @property
    def opposes(self) -> bool:
        """Whether it lies below 0."""
        return _rounded(self.high) < 0

    @property
    def figure(self) -> str:
        """What "0.46, 0.31 to 0.58" says."""
        return f"{_rounded(self.r):.2f}, {_rounded(self.low):.2f} to {_rounded(self.high):.2f}"

    @property
    def words(self) -> str:
        """What came of it, in a sentence."""
        if not self.cases:
            return NEVER
        cases = "1 held-back case" if self.cases == 1 else f"{self.cases} held-back cases"
        if not self.known:
            few = self.cases < FEW_CASES
            why = "too few to say" if few else "which cannot say: what is claimed or measured hardly differs"
            return f"It was held against measured expression in {cases}, {why}."
        if not (self.follows or self.opposes):
            return f"On {cases} the claim was no better than chance (r = {self.figure})."
        went = "followed" if self.follows else "went against"
        return f"On {cases} the claim {went} the measured activity with r = {self.figure.replace(', ', ' (')})."


def summary(checks: Mapping[str, ClaimCheck]) -> str:
    """Return how many of the gene sets that a model claims something of were claimed rightly, in a sentence or two."""
    judged, counts = [check for check in checks.values() if check.known], [check.cases for check in checks.values()]
    if not counts:
        return ""
    cases = f"{max(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    if not judged:
        return f"Claims of {len(counts)} gene sets were held against {cases} measured cases: none can be judged."
    chance = f"; by chance alone about {BY_CHANCE * len(judged):.0f} would" if BY_CHANCE * len(judged) >= 0.5 else ""
    against = sum(check.opposes for check in judged)
    words = (
        f"On {cases} held-back cases the claimed activity followed the measured one in "
        f"{sum(check.follows for check in judged)} of {len(judged)} gene sets (interval of r above 0{chance})"
    )
    words += f" and went against it in {against}." if against else "."
    left = len(counts) - len(judged)
    return words + (f" {left} could not be judged: too few cases, or hardly any difference." if left else "")


def _rounded(number: float) -> float:
    return round(number, 2) + 0.0  # no -0.00
