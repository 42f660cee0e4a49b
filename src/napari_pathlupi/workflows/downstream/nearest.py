"""Which stored embeddings lie nearest to a slide: similar slides, or molecular profiles that it may be like."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_pathlupi.core.embeddings import Embeddings, SlideEmbedding
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.evaluation.retrieval import nearest

COUNT = 5
"""How many are shown unless more are asked for (our choice)."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What lies nearest, the nearest first.

    Parameters
    ----------
    names, distances
        Of the nearest, by Euclidean distance of raw embeddings.
    median, total
        Median distance of all that were looked through, and how many they are: without them a distance says nothing.
    notes
        What else must be said, a sentence each.
    """

    names: tuple[str, ...]
    distances: tuple[float, ...]
    median: float
    total: int
    notes: tuple[str, ...] = ()


def nearest_in(stored: Embeddings, slide: SlideEmbedding, name: str = "", count: int = COUNT) -> Nearest:
    """Return the stored embeddings nearest to that of a slide, as retrieval is tested: L2, nothing centred or scaled.

    Parameters
    ----------
    stored
        Of the same slide encoder, or of the molecular encoder that it was pre-trained with.
    slide, name
        The slide, and what its file is called; it is not found as its own neighbour.
    count
        How many at most.

    Raises
    ------
    MismatchError
        When the embeddings are of another encoder or length, or there is none but the slide itself.
    """
    _must_be_alike(stored, slide)
    own = Path(name).stem
    others = [row for row, held in enumerate(stored.names) if held != own]
    if not others:
        raise MismatchError(f"{stored.source} holds nothing but this slide: add others to find similar ones.")
    vectors = stored.vectors[others]
    found = nearest(slide.vector[None], vectors, min(count, len(others)))[0]
    distances = np.linalg.norm(vectors.astype(np.float64) - slide.vector, axis=1)
    notes = [] if stored.made_by else ["The file does not say which encoder made them: only their length was checked."]
    return Nearest(
        tuple(stored.names[others[row]] for row in found),
        tuple(float(distances[row]) for row in found),
        float(np.median(distances)),
        len(others),
        (*notes, *(["The slide itself is there and left out."] if len(others) < len(stored) else [])),
    )


def _must_be_alike(stored: Embeddings, slide: SlideEmbedding) -> None:
    if stored.made_by and stored.made_by != slide.made_by:
        raise MismatchError(
            f"{stored.source} was made by {stored.made_by}, this slide's embedding by {slide.made_by}: "
            "choose embeddings of one encoder."
        )
    if stored.dim != len(slide.vector):
        raise MismatchError(
            f"{stored.source} holds embeddings of {stored.dim} numbers, that of this slide has {len(slide.vector)}: "
            "choose embeddings of the same encoder."
        )


def nearest_words(found: Nearest, what: str) -> str:
    """Return what was found in a sentence or two; ``what`` is what they are, in the plural."""
    first = f"Nearest of {found.total:,} {what}: {found.names[0]}"
    second = f", then {found.names[1]} ({found.distances[1] / max(found.distances[0], 1e-12):.2f} times as far)"
    usual = f" The median distance of all is {found.median:.3g}."
    return " ".join([f"{first}{second if len(found.names) > 1 else ''}.{usual}", *found.notes])
