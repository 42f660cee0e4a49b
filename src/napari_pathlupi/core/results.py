"""What is shown, exported and kept: answers and predictions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pathlupi.core.embeddings import SlideEmbedding
    from napari_pathlupi.core.gene_sets import GeneSetMaps
    from napari_pathlupi.core.tiles import TileGrid


RESEARCH_USE_ONLY = "Research use only. Not a diagnostic device."
"""Stands beside every answer: in the panel, the exports, the command line and the card of every model."""
NO_ATTENTION = "This model gives no attention, so there is no map of where it looked."
"""Said of every result of a slide encoder without attention."""
TILE_PROBABILITY = "probability of the tile"
"""Method of the evidence of a model that classifies each tile for itself; its tiles all count alike."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One line of an answer.

    Parameters
    ----------
    label
        What the number is about.
    text
        The number with its unit.
    share
        Length of its bar, 0 to 1.
    colour
        Hex colour that stands for it everywhere, or "" for none.
    """

    label: str
    text: str
    share: float
    colour: str = ""


class Answer(ABC):
    """What a task says of a whole slide: panel, layers and exports need no more than this."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """The answer in a word or two."""

    @property
    @abstractmethod
    def certainty(self) -> str:
        """The number beside the headline, with its unit."""

    @property
    def doubt(self) -> str:
        """What else it may be, "not sure: A or B (90 % set)"; "" where nothing else is plausible or nobody knows."""
        return ""

    @property
    def remark(self) -> str:
        """What must be said beside it, in a sentence or two; "" for nothing."""
        return ""

    @property
    def exclusive(self) -> bool:
        """Whether a tile speaks for one of several classes, so that a map of classes can be drawn."""
        return False

    @abstractmethod
    def rows(self) -> Sequence[AnswerRow]:
        """All of it, in the order in which it is read."""

    @abstractmethod
    def columns(self) -> Mapping[str, float | str]:
        """Its part of a row of a table of predictions, as `pathlupi evaluate` reads it."""

    @abstractmethod
    def numbers(self) -> Mapping[str, float]:
        """Its numbers, each under the name that it has in a table of measurements."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""


@dataclass(frozen=True, slots=True)
class ReferenceCheck:
    """How far a slide lies from those the model learned from.

    Parameters
    ----------
    distance
        Mahalanobis distance of its mean tile vector, in units of the reference.
    limit
        Distance below which 99 % of the reference slides lie; NaN when the model does not say.
    """

    distance: float
    limit: float

    @property
    def known(self) -> bool:
        """Whether the model says what the slides are like that it learned from."""
        return not isnan(self.limit)

    @property
    def supported(self) -> bool:
        """Whether the slide is like those the model learned from, or nobody can tell."""
        return self.distance <= self.limit or not self.known

    def __str__(self) -> str:
        if not self.known:
            return "The model does not say what its own slides are like: whether this one is alike was not checked."
        words = f"distance {self.distance:.1f}; 99 % of the model's own slides lie below {self.limit:.1f}"
        return words if self.supported else f"This slide is unlike those the model learned from ({words})."


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """How much each tile speaks for each class.

    Parameters
    ----------
    names
        What the columns are (classes, or one for a value or a risk).
    values
        (N, C) float32.
    method
        "exact share of the logit", "gradient × input" or `TILE_PROBABILITY`.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    method: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from, enough to make it again."""

    slide_name: str
    fingerprint: str
    slide_mpp: tuple[float, float]
    slide_mpp_source: str
    model: str
    model_digest: str
    patch_encoder: str
    slide_encoder: str
    device: str
    created: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    timing: Mapping[str, float] = field(default_factory=dict)

    @property
    def clock(self) -> str:
        """Local time of day at which it was made, "14:02"."""
        return datetime.fromisoformat(self.created).astimezone().strftime("%H:%M")

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of a slide, and where it looked: one forward pass for both.

    Parameters
    ----------
    answer
        The slide-level answer.
    grid
        The N tiles that were asked for.
    attention
        (N,) share of the model's attention, float32; sums to 1 over the tiles that were read, NaN elsewhere. None of a
        model that gives none: then there is no map of it.
    evidence
        What each tile speaks for; without attention NaN where a tile was not read.
    reference
        Whether the slide is like the model's own.
    provenance
        Where the result comes from.
    activity
        Reported activity of each gene set; empty when the model has none.
    notes
        What else must be said of this result, one sentence each.
    failed
        How many tiles could not be decoded: looked at, and left out.
    heads
        (N,) as ``attention``, for each head of an encoder that has several, by its name.
    embedding
        The slide as a vector; None of a model that makes none.
    gene_sets
        Which gene sets can be mapped, and the maps that were asked for; None of a model that maps none.
    """

    answer: Answer
    grid: "TileGrid"
    attention: npt.NDArray[np.float32] | None
    evidence: Evidence
    reference: ReferenceCheck
    provenance: Provenance
    activity: Mapping[str, float]
    notes: tuple[str, ...] = ()
    failed: int = 0
    heads: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    embedding: "SlideEmbedding | None" = None
    gene_sets: "GeneSetMaps | None" = None

    def __post_init__(self) -> None:
        if self.attention is None:
            return
        total = float(np.nansum(self.attention))
        if self.attention.shape != (len(self.grid),) or not np.isclose(total, 1.0, atol=1e-3):
            raise ValueError(f"attention {self.attention.shape} must be one share per tile and sum to 1, got {total}")

    @property
    def read(self) -> npt.NDArray[np.bool_]:
        """(N,) which tiles were read."""
        return ~np.isnan(self.evidence.values[:, 0] if self.attention is None else self.attention)

    @property
    def partial(self) -> bool:
        """Whether some tiles are still to be read, so that the answer is provisional."""
        return int(self.read.sum()) + self.failed < len(self.grid)

    @property
    def words(self) -> str:
        """The answer in a line, never more certain than it is."""
        if not self.reference.supported:
            return "not supported: this slide is unlike those the model learned from"
        provisional = f"provisional, {100 * self.read.mean():.0f} % read: " if self.partial else ""
        doubt = f", {self.answer.doubt}" if self.answer.doubt else ""
        return f"{provisional}{self.answer.headline} {self.answer.certainty}{doubt}"

    @property
    def classifies_tiles(self) -> bool:
        """Whether each tile was classified for itself, so that there is no attention to speak of."""
        return self.evidence.method == TILE_PROBABILITY

    @property
    def maps(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """What is drawn, by what it is: (N,) values between 0 and 1, NaN where not read."""
        if not self.classifies_tiles:
            heads = {f"{name}: attention percentile": self._ranked(shares) for name, shares in self.heads.items()}
            return {} if self.attention is None else {"attention percentile": self.percentile} | heads
        return {f"probability of {name}": self.evidence.values[:, i] for i, name in enumerate(self.evidence.names)}

    @property
    def percentile(self) -> npt.NDArray[np.float32]:
        """(N,) share of the read tiles with no more attention, 0 to 1; NaN where not read or without attention."""
        if self.attention is None:
            return np.full(len(self.grid), np.nan, dtype=np.float32)
        return self._ranked(self.attention)

    def _ranked(self, shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        ranks = np.full(len(self.grid), np.nan, dtype=np.float32)
        known = shares[self.read]
        ranks[self.read] = np.searchsorted(np.sort(known), known, side="right") / len(known)
        return ranks

    @property
    def times_uniform(self) -> npt.NDArray[np.float32]:
        """(N,) attention in units of an even spread over the tiles read: above 1 is more than its share; else NaN."""
        if self.attention is None:
            return np.full(len(self.grid), np.nan, dtype=np.float32)
        return self.attention * np.float32(self.read.sum())
