"""Retrieval: whether the nearest slides are of the same class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation.probe import Floats

RANKS = (1, 5, 10)
"""At how many retrieved slides the mean average precision is taken, as published with Threads."""
_BLOCK = 512


def nearest(
    queries: Floats, database: Floats, count: int, forbidden: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int64]:
    """Return (queries, count) rows of the database, the nearest first, by Euclidean distance of raw embeddings.

    Equal distances are ordered by row. Neither centring nor scaling is done (Patho-Bench: l2, no centring).

    Parameters
    ----------
    queries, database
        (., dim) embeddings.
    count
        How many are wanted.
    forbidden
        (queries, database) pairs that must not meet, such as slides of one patient.

    Raises
    ------
    UnusableFoldError
        When fewer may be retrieved.
    """
    from scipy.spatial.distance import cdist

    allowed = len(database) if forbidden is None else int((~forbidden).sum(axis=1).min())
    if count > allowed:
        raise UnusableFoldError(f"{count} slides cannot be retrieved from {allowed}")
    found = np.empty((len(queries), count), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = cdist(queries[block].astype(np.float64), database.astype(np.float64))
        if forbidden is not None:
            distances[forbidden[block]] = np.inf
        found[block] = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return found


def average_precision_at(hits: npt.NDArray[np.bool_], rank: int) -> npt.NDArray[np.float64]:
    """Return (queries,) average precision at a rank: the precision at each hit, summed and divided by the rank.

    This is Patho-Bench's: the divisor is the rank, not the number of hits, so a query whose class has fewer than
    ``rank`` slides in the database cannot reach 1. Its mean over the queries is mAP@k.

    Parameters
    ----------
    hits
        (queries, at least rank) whether the slide at each place is of the query's class.
    rank
        k.
    """
    taken = hits[:, :rank].astype(np.float64)
    precision = np.cumsum(taken, axis=1) / np.arange(1, rank + 1)
    return np.asarray((precision * taken).sum(axis=1) / rank)


def retrieval_scores(
    queries: tuple[Floats, npt.NDArray[np.int64]],
    database: tuple[Floats, npt.NDArray[np.int64]],
    ranks: Sequence[int] = RANKS,
    forbidden: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Return (queries, ranks) average precision of each query at each rank.

    Parameters
    ----------
    queries, database
        Embeddings (., dim) and classes (.,) of the held-back slides, and of those that are searched.
    ranks
        Each k.
    forbidden
        As of `nearest`.

    Raises
    ------
    UnusableFoldError
        When the database is too small.
    """
    rows = nearest(queries[0], database[0], max(ranks), forbidden)
    hits = database[1][rows] == queries[1][:, None]
    return np.stack([average_precision_at(hits, rank) for rank in ranks], axis=1)
