"""Molecular prompting: slides are told apart by how near they are to the RNA of others, without any training.

A support set's transcriptomes go through the molecular encoder that the slide encoder was pre-trained with; their means
are the prompts (Threads, arXiv 2501.16652, Online Methods).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.probe import Floats
from napari_pathlupi.evaluation.survival_probe import must_have_events

ALIKE = 0.2
"""Prompts whose distance is a smaller share of that of the slides from them are called too alike (our choice)."""
SHARE = 0.25
"""Of the support patients with an event, how many make each survival prompt."""


def class_prompts(support: Floats, classes: npt.NDArray[np.int64], names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return (classes, dim) prompts: the mean molecular embedding of each class.

    Parameters
    ----------
    support
        (patients, dim) molecular embeddings.
    classes
        (patients,) index of each one's class.
    names
        Of the classes, by index.

    Raises
    ------
    UnusableFoldError
        When a class has no patient.
    """
    absent = np.flatnonzero(np.bincount(classes, minlength=len(names)) == 0)
    if len(absent):
        named = " or ".join(names[int(index)] for index in absent)
        raise UnusableFoldError(f"no patient of the support set is {named} (--classes can leave it out)")
    return np.stack([support[classes == index].astype(np.float64).mean(axis=0) for index in range(len(names))])


def class_scores(slides: Floats, prompts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (slides, classes) scores that add up to 1; the highest is that of the nearest prompt.

    They are the softmax of the negative Euclidean distances (our choice: the paper only names the nearest prompt). For
    two classes their order is that of d(first) - d(second), which a ROC curve needs; they are no probabilities.
    """
    from scipy.special import softmax

    return np.asarray(softmax(-_distances(slides, prompts), axis=1))


def one_sided(slides: Floats, prompts: npt.NDArray[np.float64], names: Sequence[str]) -> str:
    """Return a sentence where prompts tell no two slides apart by the nearest, and how near they are; else ""."""
    distances = _distances(slides, prompts)
    nearest = np.unique(distances.argmin(axis=1))
    if len(nearest) > 1 or len(prompts) < 2:
        return ""
    near, next_to = np.median(np.sort(distances, axis=1)[:, :2], axis=0)
    apart = float(_distances(prompts, prompts).max())
    why = (
        "the prompts are too alike for how far all slides lie from them"
        if apart < ALIKE * near
        else "all slides lie to one side of what parts the prompts"
    )
    return (
        f"All {len(slides)} slides are nearest to the prompt of {names[int(nearest[0])]}: {why}. Prompts lie at most "
        f"{apart:.3g} apart; half of the slides lie {near:.3g} and more from the nearest, {next_to:.3g} from the next. "
        "So the nearest prompt tells nothing; the order of the slides (AUROC) still may."
    )


def risk_prompts(
    support: Floats, times: npt.NDArray[np.float64], events: npt.NDArray[np.bool_], share: float = SHARE
) -> npt.NDArray[np.float64]:
    """Return (2, dim) prompts of high and low risk.

    Of the patients whose event was seen, those with the shortest times are of high risk and those with the longest of
    low risk; their number is rounded down, and at least one (our choice).

    Parameters
    ----------
    support
        (patients, dim) molecular embeddings.
    times, events
        (patients,) as of `napari_pathlupi.evaluation.survival_probe.fit_coxnet`.
    share
        Of the patients with an event, how many make each prompt; at most a half.

    Raises
    ------
    UnusableFoldError
        When fewer than two events were seen.
    """
    if not 0 < share <= 0.5:
        raise SettingsError(f"a share of {share:g} is not possible: above 0 and at most a half is.")
    must_have_events(times, events, "support")
    order = np.flatnonzero(events)[np.argsort(times[events], kind="stable")]
    if len(order) < 2:
        raise UnusableFoldError("one patient of the support set has an event, two are needed")
    count = max(1, int(len(order) * share))
    return np.stack([support[rows].astype(np.float64).mean(axis=0) for rows in (order[:count], order[-count:])])


def prompted_risks(
    slides: Floats, prompts: npt.NDArray[np.float64], as_written: bool = False
) -> npt.NDArray[np.float64]:
    """Return (slides,) risks: d(slide, low-risk prompt) - d(slide, high-risk prompt).

    The paper writes the difference the other way round, which gives a slide near the high-risk prompt a *low* value:
    its C-index would be one minus ours. We take the sign under which a higher number means a higher risk.

    Parameters
    ----------
    slides
        (slides, dim) slide embeddings.
    prompts
        Of `risk_prompts`.
    as_written
        Whether to take the paper's formula to the letter.
    """
    high, low = _distances(slides, prompts).T
    return np.asarray(high - low if as_written else low - high)


def _distances(slides: Floats, prompts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(slides.astype(np.float64), prompts))
