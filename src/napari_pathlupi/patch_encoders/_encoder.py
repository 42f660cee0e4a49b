"""What every patch encoder declares."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.core.features import EncoderIdentity
    from napari_pathlupi.patch_encoders._loading import Prepared

    EncodeTiles = Callable[[Tensor], Tensor]
    """(tiles, tile_px, tile_px, 3) uint8 RGB on the device -> (tiles, dim) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An encoder on a device, ready to run.

    Parameters
    ----------
    encode
        (tiles, tile_px, tile_px, 3) uint8 RGB on that device -> (tiles, dim) float32; resizing to the network's input
        and normalising are part of it. Called from several threads at once.
    identity
        What its vectors are recognised by.
    precision
        What it computes in: "float32", "float16" or "bfloat16".
    network
        The network with its preparation, where there is one that another engine could run.
    engine
        What runs it: "torch" or "openvino".
    """

    encode: "EncodeTiles"
    identity: "EncoderIdentity"
    precision: str = "float32"
    network: "Prepared | None" = None
    engine: str = "torch"


class State(Enum):
    """What stands between a user and an encoder; the value is its name for the user."""

    READY = "ready"
    LOCAL = "local"
    NEEDS_EXTRA = "needs extra"
    NEEDS_LICENCE = "needs licence"
    NEEDS_TOKEN = "needs token"
    NEEDS_DOWNLOAD = "needs download"
    NEEDS_FILE = "needs file"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether an encoder can be used at once, and what to do if not.

    Parameters
    ----------
    state
        What is missing first.
    words
        A sentence for the user: where the weights are, or what to do.
    address
        The page that helps, "" for none.
    """

    state: State
    words: str
    address: str = ""

    @property
    def usable(self) -> bool:
        """Whether nothing is missing."""
        return self.state in (State.READY, State.LOCAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchEncoder(ABC):
    """One way to turn a tile into a vector.

    A file of the room defines one as ``ENCODER``, named like the file, or several in a table ``ENCODERS``.

    Parameters
    ----------
    name
        Its name in the catalogue.
    title
        Name for the panel.
    dim
        Length of a vector.
    tile_px, mpp
        Side of the tile it sees, in pixels, and their µm per pixel.
    version
        Changes when its vectors do: of a computed encoder, or of what we do around a network.
    licence
        SPDX name or the publisher's words; shown wherever the encoder is chosen.
    source
        Where it is described or published.
    gated
        Whether the weights are given out only after an agreement.
    aliases
        What TRIDENT calls it where its vectors are the same.
    note
        What else to know, in sentences.
    """

    name: str
    title: str
    dim: int
    tile_px: int
    mpp: float
    licence: str
    source: str
    version: str = "1"
    gated: bool = False
    aliases: tuple[str, ...] = ()
    note: str = ""

    def identity_of(self, version: str) -> "EncoderIdentity":
        """Return what vectors of a version are recognised by."""
        from napari_pathlupi.core.features import EncoderIdentity

        return EncoderIdentity(self.name, version, self.dim, self.tile_px, self.mpp)

    def card(self) -> dict[str, str]:
        """Return what is known of it, by label, in words."""
        words = {
            "name": f"{self.name}: {self.title}",
            "tile": f"{self.tile_px} px at {self.mpp:g} µm/px",
            "vector": f"{self.dim} numbers",
            "licence": f"{self.licence}{' (on request)' if self.gated else ''}",
            "source": self.source,
            "note": self.note,
            "TRIDENT": ", ".join(self.aliases),
        }
        return {label: text for label, text in words.items() if text}

    @abstractmethod
    def must_make(self, identity: "EncoderIdentity", what: str) -> None:
        """Refuse what this encoder cannot have made, as far as is known before it is loaded.

        Raises
        ------
        MismatchError
            When name, size, scale or a version that is known differ.
        """

    @abstractmethod
    def readiness(self) -> Readiness:
        """Return whether it can be used at once, without asking any network."""

    @abstractmethod
    def load(self, device: str, weights: Path | None = None) -> Loaded:
        """Return the encoder on a device ("cpu", "cuda", "mps"); torch is imported in it.

        Parameters
        ----------
        device
            torch's name of the device.
        weights
            File or folder with the weights; otherwise they are looked for where the user keeps them.

        Raises
        ------
        MissingExtraError, WeightsError, SettingsError
            When a library or the weights are missing or do not fit.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedEncoder(PatchEncoder):
    """An encoder without weights.

    Parameters
    ----------
    make
        Returns what encodes on a device ("cpu", "cuda", "mps"); torch is imported in it.
    """

    make: "Callable[[str], EncodeTiles]"

    @property
    def identity(self) -> "EncoderIdentity":
        """What its vectors are recognised by."""
        return self.identity_of(self.version)

    def must_make(self, identity: "EncoderIdentity", what: str) -> None:
        identity.must_fit(self.identity, what)

    def readiness(self) -> Readiness:
        return Readiness(State.READY, "Needs no weights.")

    def load(self, device: str, weights: Path | None = None) -> Loaded:
        if weights is not None:
            raise SettingsError(f"{self.name} has no weights: leave out {weights}.")
        return Loaded(self.make(device), self.identity)
