"""What clinical columns alone tell of a survival: Cox's model, fitted for each fold on the cases of the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_pathlupi.errors import MismatchError
from napari_pathlupi.evaluation._fits import unsettled, warnings_told
from napari_pathlupi.evaluation.measures import Flags, Numbers
from napari_pathlupi.evaluation.predicted import Survived
from napari_pathlupi.evaluation.scoring import Predictions

RIDGE = 0.1
"""Penalty of the weights, beside a likelihood summed over the events: it keeps a fit finite where a column parts all
events, and changes next to nothing else (our choice)."""
MAX_ITER = 200


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalColumn:
    """One thing that is known of the cases beside their slides.

    Parameters
    ----------
    name
        Of the column.
    values
        (cases,) numbers, NaN where unknown; or words, "" where unknown.
    """

    name: str
    values: Numbers | Sequence[str]

    def coded(self, train: Flags) -> Numbers:
        """Return (cases, features) numbers, by what the training cases say.

        Numbers in standard deviations from the mean, 0 where unknown; of words an indicator for each but the commonest,
        which unknown and new ones are counted as (our choice).
        """
        if isinstance(self.values, np.ndarray):
            known = self.values[train & np.isfinite(self.values)]
            spread = known.std() if len(known) else 0.0
            if not spread:
                return np.zeros((len(train), 0))
            return np.asarray(np.nan_to_num((self.values - known.mean()) / spread)[:, None])
        words = np.array(self.values)
        kinds = [word for word, _ in Counter(words[train].tolist()).most_common() if word]
        return np.stack([words == word for word in kinds[1:]], axis=1) * 1.0 if kinds[1:] else np.zeros((len(words), 0))

    @property
    def unknown(self) -> int:
        """Of how many cases nothing is known."""
        values = self.values
        return int((~np.isfinite(values)).sum()) if isinstance(values, np.ndarray) else list(values).count("")


def clinical_baseline(
    predictions: Predictions, columns: Sequence[ClinicalColumn]
) -> tuple[Predictions, tuple[str, ...]]:
    """Return the same cases with the risks of Cox's model of clinical columns, and what must be said of it.

    For each fold it learns from all cases of the other folds, those that chose a model there too: it chooses nothing
    itself. Ties as Efron has them.

    Parameters
    ----------
    predictions
        Of a survival, each case by one of several folds.
    columns
        Their values in the order of the cases.

    Raises
    ------
    MismatchError
        When it is no survival, there are not several folds, or the cases of a fold's others teach nothing.
    """
    told, folds = predictions.told, np.array(predictions.folds)
    if not isinstance(told, Survived):
        raise MismatchError("clinical columns are compared with risks, by Cox's model: these predictions are none.")
    if predictions.several or len(set(predictions.folds)) < 2:
        raise MismatchError(
            "clinical columns are compared on the same folds: each case must be predicted by one of several folds, as "
            "in the predictions.csv of a training run."
        )
    gaps = [column for column in columns if column.unknown]
    unknown = (f"{one.name} is unknown in {one.unknown} of {len(told)} cases, which count as average." for one in gaps)
    risks, notes = np.zeros(len(told)), dict.fromkeys(unknown)
    for fold in sorted(set(predictions.folds)):
        test = folds == fold
        risks[test], said = _risks(told, columns, test, fold)
        notes |= dict.fromkeys(f"{note} (fold {fold})." for note in said)
    named = ", ".join(column.name for column in columns)
    how = f"Clinical columns: Cox's model of {named}, fitted for each fold on the cases of the others."
    return replace(predictions, told=replace(told, risks=risks)), (how, *notes)


def _risks(
    told: Survived, columns: Sequence[ClinicalColumn], test: Flags, fold: str
) -> tuple[Numbers, tuple[str, ...]]:
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    coded = np.concatenate([column.coded(~test) for column in columns], axis=1)
    events = int(told.events[~test].sum())
    if not coded.shape[1] or not events:
        named = " and ".join(column.name for column in columns)
        what = f"{named} is the same everywhere: name another column" if events else "nobody has the event"
        raise MismatchError(f"in the {int((~test).sum())} cases that fold {fold} learns from, {what}.")
    model = CoxPHSurvivalAnalysis(alpha=RIDGE, ties="efron", n_iter=MAX_ITER)
    with warnings_told() as warned:
        model.fit(coded[~test], Surv.from_arrays(told.events[~test], told.times[~test]))
    few = (f"{events} events are few for {coded.shape[1]} numbers of a case",) if events < 10 * coded.shape[1] else ()
    constant = [f"{column.name} is the same everywhere" for column in columns if not column.coded(~test).shape[1]]
    return np.asarray(model.predict(coded[test])), (*unsettled(warned, MAX_ITER), *few, *constant)
