"""Learning from a few cases of each class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import UnusableFoldError

SHOTS = (1, 2, 4, 8, 16, 32)
"""Cases of each class to learn from, as published with Threads (arXiv 2501.16652, Online Methods)."""


def few_shot_rows(
    classes: npt.NDArray[np.int64], shots: int, names: Sequence[str], seed: int | Sequence[int] = 0
) -> npt.NDArray[np.int64]:
    """Return rows of as many cases of each class, drawn without repetition, in ascending order.

    Parameters
    ----------
    classes
        (cases,) index of the class of each case that may be drawn.
    shots
        How many of each class.
    names
        Of the classes, by index.
    seed
        Of the drawing.

    Raises
    ------
    UnusableFoldError
        When a class has fewer cases.
    """
    counts = np.bincount(classes, minlength=len(names))
    if counts.min() < shots:
        raise UnusableFoldError(
            f"{shots} cases of each class are not there: {names[int(counts.argmin())]} has {int(counts.min())}"
        )
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(classes == index), shots, replace=False) for index in range(len(names))]
    return np.sort(np.concatenate(drawn))
