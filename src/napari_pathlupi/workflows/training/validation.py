"""How good a model is on cases that it does not learn from, in one number: higher is better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.slide_encoders._encoder import Encoded
from napari_pathlupi.workflows.prediction.model import SlideModel


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Cases that a training is scored on.

    Parameters
    ----------
    bags, wanted, owners
        As of `TrainingCases`; how few there are does not matter.
    """

    bags: Sequence[npt.NDArray[np.float32]]
    wanted: npt.NDArray[np.float64]
    owners: npt.NDArray[np.int64] | None = None

    def score(self, model: SlideModel) -> float:
        """Return what `score_of` says of them."""
        return score_of(model.recipe.task, outputs_of(model, self.bags, self.owners), self.wanted)


@torch.no_grad()
def outputs_of(
    model: SlideModel, bags: Sequence[npt.NDArray[np.float32]], owners: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float64]:
    """Return (cases, outputs) of the head; of several slides the mean, which is that of their mean embedding."""
    rows = [_encoded(model, bag)[0][0].double().cpu().numpy() for bag in bags]
    outputs = np.array(rows).reshape(len(bags), -1)
    return outputs if owners is None else mean_of(outputs, owners)


@torch.no_grad()
def activity_of(
    model: SlideModel, bags: Sequence[npt.NDArray[np.float32]], owners: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float64] | None:
    """Return (cases, sets) the activity claimed of each gene set, of several slides the mean; None where none is."""
    rows = []
    for bag in bags:
        said = model.objective.activity(model.anchor(_encoded(model, bag)[1])) if model.objective is not None else None
        if said is None:
            return None
        rows.append(said[0].double().cpu().numpy())
    activity = np.array(rows)
    return activity if owners is None else mean_of(activity, owners)


def _encoded(model: SlideModel, bag: npt.NDArray[np.float32]) -> tuple[torch.Tensor, Encoded]:
    tiles = model.standardise(torch.tensor(np.asarray(bag), dtype=model.feature_mean.dtype, device=model.device))
    outputs, encoded = model(tiles[None], torch.ones(1, len(tiles), dtype=torch.bool, device=model.device))
    return outputs, encoded


def mean_of(outputs: npt.NDArray[np.float64], owners: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return (cases, outputs) the mean over the slides of each case."""
    counts = np.bincount(owners)
    sums = [np.bincount(owners, weights=column) for column in outputs.T]
    return np.stack([total / counts for total in sums], axis=1)


def score_of(task: CataloguePart, outputs: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Return the area under the ROC curve (macro, one against the rest), the C-index or a rank correlation.

    NaN where the cases cannot say, for instance because all are of one class.
    """
    known = np.isfinite(wanted).all(axis=1)
    if task.name == "classification":
        labels = wanted[known, 0].astype(int)
        return _mean([_auroc(labels == k, outputs[known, k] - _rest(outputs[known], k)) for k in np.unique(labels)])
    if task.name in ("survival", "cox"):
        return _concordance(wanted[known], _risk(task.name, outputs[known]))
    columns = range(wanted.shape[1])
    pairs = [(wanted[np.isfinite(wanted[:, k]), k], outputs[np.isfinite(wanted[:, k]), k]) for k in columns]
    if task.name == "multilabel":
        return _mean([_auroc(truth == 1, said) for truth, said in pairs])
    return _mean([_rank_correlation(truth, said) for truth, said in pairs])


def _rest(logits: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """Log of the summed exponentials of the others: logit k less this orders cases as their probability does."""
    return np.asarray(np.logaddexp.reduce(np.delete(logits, k, axis=1), axis=1))


def _auroc(positive: npt.NDArray[np.bool_], said: npt.NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, said)) if 0 < positive.sum() < len(positive) else math.nan


def _concordance(wanted: npt.NDArray[np.float64], risk: npt.NDArray[np.float64]) -> float:
    from sksurv.exceptions import NoComparablePairException
    from sksurv.metrics import concordance_index_censored

    try:
        return float(concordance_index_censored(wanted[:, 1] == 1, wanted[:, 0], risk)[0])
    except (NoComparablePairException, ValueError):
        return math.nan


def _risk(task: str, outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(cases,) higher is worse: the output of Cox; for hazards per interval minus the summed survival (methods 3.3)."""
    if task == "cox":
        return outputs[:, 0]
    survival = np.cumprod(1 / (1 + np.exp(np.clip(outputs, -500, 500))), axis=1)
    return np.asarray(-survival.sum(axis=1))


def _rank_correlation(truth: npt.NDArray[np.float64], said: npt.NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(said) == 0:
        return math.nan
    return float(spearmanr(truth, said).statistic)


def _mean(scores: Sequence[float]) -> float:
    known = [score for score in scores if math.isfinite(score)]
    return float(np.mean(known)) if known else math.nan
