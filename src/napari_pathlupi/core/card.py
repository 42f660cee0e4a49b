"""What a model says of itself: the contents of a bundle's card.json."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.results import RESEARCH_USE_ONLY

FORMAT: Final = 2
Claim = tuple[float | None, float | None, float | None, Annotated[int, Field(ge=0)]]
"""How far a claim went with what was measured; see `napari_pathlupi.core.claims.ClaimCheck`."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PatchEncoderPart(_Part):
    """The patch encoder whose features the model reads; see `EncoderIdentity`."""

    name: str
    version: str
    dim: Annotated[int, Field(gt=0)]
    tile_px: Annotated[int, Field(gt=0)]
    mpp: Annotated[float, Field(gt=0)]

    @classmethod
    def of(cls, identity: EncoderIdentity) -> "PatchEncoderPart":
        """Return the part of a card that names these features."""
        return cls(
            name=identity.name,
            version=identity.version,
            dim=identity.dim,
            tile_px=identity.tile_px,
            mpp=identity.mpp,
        )

    @property
    def identity(self) -> EncoderIdentity:
        """What a bag of features must have been made by."""
        return EncoderIdentity(self.name, self.version, self.dim, self.tile_px, self.mpp)


class CataloguePart(_Part):
    """An entry of a catalogue and the settings to build it with."""

    name: str
    settings: dict[str, JsonValue] = {}


class ObjectivePart(CataloguePart):
    """The molecular objective of the training, and the gene sets that it learned."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)]


class Recipe(_Part):
    """What a network is built from."""

    patch_encoder: PatchEncoderPart
    slide_encoder: CataloguePart
    task: CataloguePart
    objective: ObjectivePart | None = None


class About(_Part):
    """What people must know of a model.

    Parameters
    ----------
    name, title
        Short name, as of its folder, and name for the panel.
    description, trained_on, limits
        What it does, what it learned from and where it fails, in sentences.
    licence, gated
        SPDX name or the publisher's words, and whether weights are given out only after an agreement.
    source
        Where it comes from: a paper, an address or a command.
    created
        Date, ISO 8601.
    metrics
        Figures with their protocol.
    intended_use
        What it may be used for, in a sentence.
    gene_sets
        Where the gene sets of its molecular objective come from.
    research_use_only
        Shown beside every answer.
    """

    name: str
    title: str
    description: str
    trained_on: str
    limits: str
    licence: str
    gated: bool
    source: str
    created: str
    metrics: dict[str, JsonValue] = {}
    intended_use: str = ""
    gene_sets: str = ""
    research_use_only: str = RESEARCH_USE_ONLY


class Card(About, Recipe):
    """All that a bundle says of itself: `About`, `Recipe` and what follows.

    Parameters
    ----------
    format
        Version of this format.
    reference_limit
        Distance from the training cases above which a slide is not supported; of an ensemble the mean of its folds'.
    members
        How many models it is made of, a fold or seed each; their outputs are averaged. Since format 2.
    calibration
        `napari_pathlupi.core.calibration.Calibration` as JSON values; None without. Since format 2.
    slides
        What it learned several slides of a case as: "union", one bag, or "mean", the mean of what is said of each.
    claims
        By gene set, how far what the folds claim of their test cases went with what was measured: correlation, ends of
        its 95 % interval, null where nobody can say, and the number of cases. Empty where it was never looked at.
    digests
        SHA-256 of the other files, by name; filled in when the bundle is saved.
    """

    format: Literal[1, 2] = FORMAT
    reference_limit: Annotated[float, Field(ge=0)]
    members: Annotated[int, Field(ge=1)] = 1
    calibration: dict[str, JsonValue] | None = None
    slides: Literal["union", "mean"] = "union"
    claims: dict[str, Claim] = {}
    digests: dict[str, str] = {}
