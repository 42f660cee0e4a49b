"""Encoders with weights that others trained, wherever on this machine those are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_pathlupi.errors import MissingExtraError, WeightsError
from napari_pathlupi.patch_encoders._encoder import Loaded, PatchEncoder, Readiness, State
from napari_pathlupi.patch_encoders._places import find, kept, missing_libraries, token
from napari_pathlupi.patch_encoders._published import Architecture, Preparation, Weights

if TYPE_CHECKING:
    from napari_pathlupi.core.features import EncoderIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedEncoder(PatchEncoder):
    """An encoder with weights that somebody else trained and gives out.

    Its vectors are recognised by `version` and a digest of the tensors in the file of weights.

    Parameters
    ----------
    preparation
        What happens to a tile before the network.
    architecture
        The network.
    weights
        Where its weights are given out.
    precision
        What to compute in on a CUDA device that has it; elsewhere it is float32.
    """

    preparation: Preparation
    architecture: Architecture
    weights: Weights
    precision: Literal["float32", "float16", "bfloat16"] = "float32"

    @property
    def file_name(self) -> str:
        """What its weights are called where places and licences are kept; encoders that share a file share it."""
        return self.weights.repository or self.name

    def card(self) -> dict[str, str]:
        kind = "" if self.precision == "float32" else f"; {self.precision} on a CUDA device that is fast at it"
        return PatchEncoder.card(self) | {  # super() does not work in a dataclass with slots
            "network": self.preparation.words,
            "parameters": self.weights.count_words,
            "precision": f"float32{kind}",
            "weights": " ".join(filter(None, (self.weights.address, self.weights.size))),
            "tried": "not run with real weights here",
        }

    def must_make(self, identity: "EncoderIdentity", what: str) -> None:
        identity.must_equal(self.identity_of(identity.version), what)

    def readiness(self) -> Readiness:
        missing = missing_libraries(self.architecture)
        if missing:
            return Readiness(State.NEEDS_EXTRA, missing)
        try:
            found = self.find()
        except WeightsError as error:
            return Readiness(State.NEEDS_FILE, str(error), self.weights.address)
        return Readiness(State.LOCAL, f"{found}") if found else self._next_step()

    def find(self, named: Path | None = None) -> Path | None:
        """Return the file with its weights, or None when it is nowhere on this machine.

        Raises
        ------
        WeightsError
            When a place was named and holds no weights.
        SettingsError
            When what is kept cannot be read.
        """
        return find(self.weights, (self.name, *self.aliases), named)

    def _next_step(self) -> Readiness:
        """What to do about weights that are not on this machine."""
        name, weights = self.name, self.weights
        get = f"get them with: pathlupi encoders get {name}"
        if not weights.repository:
            words = f"Its publishers give out a file at {weights.address}: pathlupi encoders use {name} FILE"
            return Readiness(State.NEEDS_FILE, words, weights.address)
        if self.gated and self.file_name not in kept().licences:
            words = f"Accept its licence ({self.licence}) at {weights.address}; then {get}"
            return Readiness(State.NEEDS_LICENCE, words, weights.address)
        if self.gated and not token():
            words = f"Its weights need your Hugging Face token in HF_TOKEN (or: hf auth login); then {get}"
            return Readiness(State.NEEDS_TOKEN, words, "https://huggingface.co/settings/tokens")
        size = f" ({weights.size})" if weights.size else ""
        return Readiness(State.NEEDS_DOWNLOAD, f"Its weights are not on this machine{size}: {get}", weights.address)

    def load(self, device: str, weights: Path | None = None) -> Loaded:
        from napari_pathlupi.patch_encoders._loading import Prepared, filled, on_device

        missing = missing_libraries(self.architecture)
        if missing:
            raise MissingExtraError(missing)
        path = self.find(weights)
        if path is None:
            raise WeightsError(f"{self.title}: {self._next_step().words}")
        network, digest = filled(self.architecture, path, self.name, self.weights.address)
        prepared = Prepared(network, self.preparation, self.tile_px)
        encode, precision = on_device(prepared, device, self.precision)
        return Loaded(encode, self.identity_of(f"{self.version}.{digest[:16]}"), precision, prepared)
