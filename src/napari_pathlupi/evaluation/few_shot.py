"""Learning from a few cases of each class."""

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import UnusableFoldError

SHOTS = (1, 2, 4, 8, 16, 32)
"""Cases of each class to learn from, as published with Threads (arXiv 2501.16652, Online Methods)."""


def few_shot_rows(classes: npt.NDArray[np.int64], shots: int, n_classes: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return rows of as many cases of each class, drawn without repetition, in ascending order.

    Parameters
    ----------
    classes
        (cases,) index of the class of each case that may be drawn.
    shots
        How many of each class.
    n_classes
        How many classes there are.
    seed
        Of the drawing.

    Raises
    ------
    UnusableFoldError
        When a class has fewer cases.
    """
    counts = np.bincount(classes, minlength=n_classes)
    if counts.min() < shots:
        raise UnusableFoldError(
            f"{shots} cases of each class are not there: class {int(counts.argmin())} has {int(counts.min())}"
        )
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(classes == index), shots, replace=False) for index in range(n_classes)]
    return np.sort(np.concatenate(drawn))
