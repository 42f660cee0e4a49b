"""Maps of gene sets: what a model claims of the expression in each tile; never a measurement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.claims import NEVER, ClaimCheck

OF_TOKENS, OF_ACTIVITY = "attention of the gene set's token", "exact share of the gene set's activity"
"""What the values of a map are."""
CLAIMED = "Claimed by the model, not measured"
"""Begins what is said beside every map of a gene set."""

_NEAR = 3


@dataclass(frozen=True, slots=True, eq=False)
class GeneSetMap:
    """What a model claims of one gene set on a slide.

    Parameters
    ----------
    values
        (N,) float32, the mean over the folds; NaN where a tile was not read.
    method
        `OF_ACTIVITY`: with the bias of the head, the values add up to the activity. `OF_TOKENS`: shares of attention.
    claims
        Activity that each fold claims of the slide, standard deviations of the training cases; empty where none can.
    agreement
        Mean correlation between the maps of two folds; NaN of a single one.
    folds
        How many the model has; those that were trained without expression claim nothing.
    check
        How the claim fared on held-back cases whose expression was measured; None where nobody looked.
    """

    values: npt.NDArray[np.float32]
    method: str
    claims: tuple[float, ...] = ()
    agreement: float = float("nan")
    folds: int = 1
    check: ClaimCheck | None = None

    @property
    def signed(self) -> bool:
        """Whether a tile may speak against the activity."""
        return self.method == OF_ACTIVITY

    @property
    def claim(self) -> float:
        """The activity that the folds claim on average; NaN where none can."""
        return float(np.mean(self.claims)) if self.claims else float("nan")

    @property
    def drawn(self) -> npt.NDArray[np.float32]:
        """(N,) what is drawn: percentile of a value's size among the tiles read, -1 to 1, with the sign of the value.

        Rank alone would light up the tiles that nobody looked at wherever all others speak against (our choice).
        """
        return signed_percentile(self.values)

    @property
    def quantity(self) -> str:
        """What `drawn` is, in words."""
        return "signed percentile of the share" if self.signed else "attention percentile"

    @property
    def words(self) -> str:
        """What the map is, how sure, and whether such claims were right, in three sentences."""
        colours = (
            "Orange tiles raise it, blue ones lower it; full colour: the largest share."
            if self.signed
            else "Brightest is where the model looked most for the gene set."
        )
        return f"{CLAIMED}{self._how_sure()}. {colours} {self._checked}"

    @property
    def without_colours(self) -> str:
        """`words` for where nothing is drawn."""
        return f"{CLAIMED}{self._how_sure()}. {self._checked}"

    @property
    def _checked(self) -> str:
        return self.check.words if self.check else NEVER

    def _how_sure(self) -> str:
        if not self.claims:
            return ""
        about = f": activity {self.claim:+.2f} (standard deviations of the training cases)"
        told = f"{len(self.claims)} of {self.folds} folds"
        if len(self.claims) == 1:
            alone = "one model" if self.folds == 1 else told
            return f"{about}, by {alone}, so how far folds agree cannot be told"
        low, high = min(self.claims), max(self.claims)
        split = "" if low * high > 0 else ", not even of one sign"
        return f"{about}; {told} say {low:+.2f} to {high:+.2f}{split}, and their maps correlate by {self.agreement:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class GeneSetMaps:
    """The gene sets that a model can map, and the maps made so far.

    Parameters
    ----------
    offered
        Names of those that it can map.
    maps
        Those that were asked for, by name.
    features
        (N, dim) tile vectors that more are made from; None where they were not kept.
    """

    offered: tuple[str, ...]
    maps: Mapping[str, GeneSetMap] = field(default_factory=dict)
    features: npt.NDArray[np.float32] | None = None


def pictures(gene_sets: GeneSetMaps | None) -> dict[str, npt.NDArray[np.float32]]:
    """Return what is drawn of each map, (N,) values between -1 and 1, by what it is."""
    maps = gene_sets.maps if gene_sets else {}
    return {f"gene set {name}: {made.quantity}": made.drawn for name, made in maps.items()}


def signed_percentile(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return the share of known values whose size is no larger, 0 to 1, with the sign of each; NaN stays."""
    drawn = np.full(values.shape, np.nan, np.float32)
    known = ~np.isnan(values)
    sizes = np.abs(values[known])
    ranks = np.searchsorted(np.sort(sizes), sizes, side="right") / max(1, len(sizes))
    drawn[known] = np.sign(values[known]) * ranks
    return drawn


def unknown_words(strange: Sequence[str], known: Sequence[str]) -> str:
    """Return that a model has no map of some gene sets, with those of its own that have names like theirs."""
    if not known:
        why = "it did not learn from expression, or its objective has neither tokens nor a linear head for gene sets"
        return f"the model has no map of {', '.join(strange)}: {why}."
    near: list[str] = []
    for name in strange:
        parts = [other for other in known if name.upper() in other.upper()]
        near += parts[:_NEAR] or get_close_matches(name.upper(), known, n=_NEAR, cutoff=0.4)
    few = len(known) <= 2 * _NEAR
    told = f"known are {', '.join(known)}" if few else f"near are {', '.join(dict.fromkeys(near or known[:_NEAR]))}"
    return f"the model has no map of {', '.join(strange)}: {told}{'' if few else f'; it knows {len(known)} sets'}."
