"""Figures with intervals: of each fold, of their mean and of all cases together, and of one model against another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.evaluation.delong import DeLong, delong
from napari_pathlupi.evaluation.measures import Indices, Numbers, mean_known
from napari_pathlupi.evaluation.predicted import Classified, Predicted, Survived

POOLED, MEAN = "pooled", "mean of folds"


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """How intervals are found.

    Parameters
    ----------
    resamples
        How often the patients are drawn again.
    seed
        Of the drawing: the same seed gives the same intervals.
    level
        Share of the resamples between the ends of an interval.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100 or not 0 < self.level < 1:
            raise SettingsError(
                f"{self.resamples} resamples at a level of {self.level:g}: at least 100 are needed, and a level "
                "between 0 and 1."
            )


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with the ends of its interval; NaN where the cases cannot say."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "cannot be said"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Score:
    """What was measured on some of the cases.

    Parameters
    ----------
    part
        Name of a fold, `MEAN` or `POOLED`.
    cases
        How many.
    figures
        By the name of the measure.
    """

    part: str
    cases: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A table of predictions with its truth.

    Parameters
    ----------
    cases
        (n,) the patient of each row; one with several rows was predicted by several folds.
    folds
        (n,) the fold that predicted it, "" where there is one model.
    told
        What was predicted and what is true.
    """

    cases: tuple[str, ...]
    folds: tuple[str, ...]
    told: Predicted

    def __post_init__(self) -> None:
        if not len(self.cases) == len(self.folds) == len(self.told):
            raise ValueError("one case and one fold per prediction are needed")

    @property
    def names(self) -> tuple[str, ...]:
        """The patients, each once."""
        return tuple(dict.fromkeys(self.cases))

    @property
    def several(self) -> bool:
        """Whether a case was predicted by several folds, as an external cohort is."""
        return len(self.names) < len(self.cases)

    def owners(self) -> Indices:
        """Return for each row the index of its patient in ``names``."""
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[case] for case in self.cases], dtype=np.int64)

    def pooled(self) -> Predicted:
        """Return one row per patient: where several folds predicted it, their mean."""
        return self.told.averaged(self.owners()) if self.several else self.told

    def only(self, names: set[str]) -> "Predictions":
        """Return the rows of these patients, ordered by patient."""
        rows = np.array(sorted((i for i, case in enumerate(self.cases) if case in names), key=self.cases.__getitem__))
        return Predictions(tuple(self.cases[i] for i in rows), tuple(self.folds[i] for i in rows), self.told.take(rows))


def resampled(strata: Indices, config: ScoreConfig) -> Numbers:
    """Return (1 + resamples, cases) how often each case is drawn; first the cases as they are.

    Cases are drawn with replacement within each stratum, as many as there are (stratified bootstrap, Davison and
    Hinkley 1997), so that every resample has every class: intervals are for cohorts of this composition.
    """
    rng = np.random.default_rng(config.seed)
    counts = np.ones((1 + config.resamples, len(strata)))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        counts[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), config.resamples)
    return counts


def figure_of(values: Numbers, level: float) -> Figure:
    """Return the first number with the percentile interval of the others, of those resamples that can say."""
    known = values[1:][np.isfinite(values[1:])]
    if not len(known) or np.isnan(values[0]):
        return Figure(float(values[0]), np.nan, np.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Figure(float(values[0]), float(low), float(high))


def score(predictions: Predictions, config: ScoreConfig | None = None) -> tuple[Score, ...]:
    """Return the figures of each fold, of their mean and of all patients together.

    Patients are drawn, not rows, within strata of kind (class, or event and censored) and fold; a kind that some fold
    has one case of, which would be drawn every time, over all folds (our choice). ``mean of folds`` is the mean of the
    folds' figures. ``pooled`` takes all patients at once: where each was predicted by one fold, their predictions side
    by side; where several folds predicted a patient, the mean of those.
    """
    config = config or ScoreConfig()
    owners, pooled = predictions.owners(), predictions.pooled()
    firsts = np.unique(owners, return_index=True)[1]
    folds = np.unique(np.array(predictions.folds)[firsts], return_inverse=True)[1]
    kinds = predictions.told.strata()[firsts]
    counts = resampled(_strata(folds, kinds), config)
    scores, of_folds = [], []
    names = sorted(set(predictions.folds), key=_in_order)
    for fold in names if len(names) > 1 else ():
        rows = np.flatnonzero(np.array(predictions.folds) == fold)
        of_folds.append(_values(predictions.told.take(rows), counts[:, owners[rows]]))
        scores.append(_score(fold, len(rows), of_folds[-1], config))
    if of_folds:
        means = {name: mean_known(np.stack([values[name] for values in of_folds])) for name in of_folds[0]}
        scores.append(_score(MEAN, len(predictions.names), means, config))
    return *scores, _score(
        POOLED, len(pooled), _values(pooled, counts if predictions.several else counts[:, owners]), config
    )


def _strata(folds: Indices, kinds: Indices) -> Indices:
    """Which cases are drawn among each other."""
    pairs, sizes = np.unique(np.stack([folds, kinds]), axis=1, return_counts=True)
    over_all = np.isin(kinds, pairs[1, sizes == 1])
    drawn = np.stack([np.where(over_all, -1, folds), kinds])
    return np.asarray(np.unique(drawn, axis=1, return_inverse=True)[1].ravel(), dtype=np.int64)


def _values(told: Predicted, counts: Numbers) -> dict[str, Numbers]:
    return {name: measure(counts) for name, measure in told.measures().items()}


def _score(part: str, cases: int, values: Mapping[str, Numbers], config: ScoreConfig) -> Score:
    return Score(part, cases, {name: figure_of(numbers, config.level) for name, numbers in values.items()})


def _in_order(fold: str) -> tuple[float, str]:
    return (float(fold), "") if fold.replace(".", "", 1).isdigit() else (np.inf, fold)


@dataclass(frozen=True, slots=True)
class Difference:
    """One model against another in one measure.

    Parameters
    ----------
    first, second
        Their numbers.
    gap
        First - second, with its interval over the same resamples of the same patients.
    p
        Twice the share of resamples on the rarer side of 0, at least 2 / (resamples + 1).
    """

    first: float
    second: float
    gap: Figure
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same patients.

    Parameters
    ----------
    cases
        Patients that both predicted.
    only_first, only_second
        Patients that one of them predicted; left out.
    differences
        By the name of the measure.
    delong
        Of classes: DeLong's test of the area under the ROC curve, by class.
    """

    cases: int
    only_first: int
    only_second: int
    differences: Mapping[str, Difference]
    delong: Mapping[str, DeLong]


def compare(first: Predictions, second: Predictions, config: ScoreConfig | None = None) -> Comparison:
    """Return a paired comparison of two models, first - second, on the patients that both predicted.

    Raises
    ------
    MismatchError
        When they predicted no patient in common, or different things.
    """
    config = config or ScoreConfig()
    mine, other = set(first.names), set(second.names)
    common = mine & other
    if not common:
        raise MismatchError(
            f"the {len(mine)} cases of one table and the {len(other)} of the other have none in common."
        )
    a, b = (predictions.only(common).pooled() for predictions in (first, second))
    if type(a) is not type(b) or a.measures().keys() & b.measures().keys() == set():
        raise MismatchError("the two tables predict different things: compare models of one task.")
    if isinstance(a, Classified) and isinstance(b, Classified) and a.classes != b.classes:
        raise MismatchError(f"one table has the classes {', '.join(a.classes)}, the other {', '.join(b.classes)}.")
    if isinstance(a, Survived) and isinstance(b, Survived):
        a, b = _compared_alike(a, b)
    counts = resampled(a.strata(), config)
    ours, theirs = _values(a, counts), _values(b, counts)
    gaps = {name: _difference(ours[name], theirs[name], config) for name in ours if name in theirs}
    tests = _delong(a, b) if isinstance(a, Classified) and isinstance(b, Classified) else {}
    return Comparison(len(common), len(mine - other), len(other - mine), gaps, tests)


def _compared_alike(a: Survived, b: Survived) -> tuple[Survived, Survived]:
    """Both with pairs of cases that are of one fold in either."""
    groups = np.unique(np.stack([a.groups, b.groups]), axis=1, return_inverse=True)[1].ravel()
    return replace(a, groups=groups), replace(b, groups=groups)


def _difference(ours: Numbers, theirs: Numbers, config: ScoreConfig) -> Difference:
    gaps = ours - theirs
    drawn = gaps[1:][np.isfinite(gaps[1:])]
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = min(1.0, 2 * (rarer + 1) / (len(drawn) + 1)) if len(drawn) else np.nan
    return Difference(float(ours[0]), float(theirs[0]), figure_of(gaps, config.level), float(p))


def _delong(a: Classified, b: Classified) -> dict[str, DeLong]:
    chosen = [1] if len(a.classes) == 2 else range(len(a.classes))
    enough = [k for k in chosen if 2 <= (a.labels == k).sum() <= len(a.labels) - 2]
    return {a.classes[k]: delong(a.labels == k, a.probabilities[:, k], b.probabilities[:, k]) for k in enough}
