"""Clustering: whether slides fall into their classes by themselves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation._fits import warnings_told
from napari_pathlupi.evaluation.probe import Floats, must_vary


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What k-means found.

    Parameters
    ----------
    members
        (cases,) index of each case's cluster.
    ari
        Adjusted Rand index against the classes: 0 by chance, 1 at best.
    mutual_information
        With the classes, in nats; at most the entropy of the classes.
    notes
        What must be said, a sentence each.
    """

    members: npt.NDArray[np.int64]
    ari: float
    mutual_information: float
    notes: tuple[str, ...] = ()


def cluster(features: Floats, classes: npt.NDArray[np.int64], seed: int = 0, restarts: int = 10) -> Clusters:
    """Return as many clusters as there are classes among the cases, by k-means on raw embeddings.

    Parameters
    ----------
    features
        (cases, dim) embeddings.
    classes
        (cases,) index of each one's class.
    seed, restarts
        Of k-means; the best of the restarts counts (ten: our choice, the paper names none).

    Raises
    ------
    UnusableFoldError
        When fewer than two classes are there, or all embeddings are the same.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, mutual_info_score

    wanted = len(np.unique(classes))
    if wanted < 2:
        raise UnusableFoldError(f"the {len(classes)} cases are all of one class")
    notes = must_vary(features)
    with warnings_told():
        members = KMeans(wanted, n_init=restarts, random_state=seed).fit_predict(features.astype(np.float64))
    found = len(np.unique(members))
    if found < wanted:
        notes = (*notes, f"only {found} embeddings differ, so there are {found} clusters for {wanted} classes")
    ari, shared = adjusted_rand_score(classes, members), mutual_info_score(classes, members)
    return Clusters(members.astype(np.int64), float(ari), float(shared), notes)
