"""What every slide encoder of others declares: what it reads, under which licence, and how its own code is called.

They stand beside `napari_pathlupi.slide_encoders` and not in it. Those are built from JSON settings and safetensors,
learn here, read vectors alone and say what each tile did; these are frozen, run their authors' code, and some read
where tiles lie. What they give is one vector per slide, on which a probe learns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.core.features import EncoderIdentity

Embed = Callable[["Tensor", "Tensor", int], "Tensor"]
"""(1, N, dim) float32, (1, N, 2) int64 corners **(x, y)** and the side of a tile, both in level-0 pixels, on the
device -> (1, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSlideEncoder:
    """A slide encoder that somebody else trained; a file of the room defines one as ``ENCODER``.

    Parameters
    ----------
    title
        Name for people.
    width
        Length of the embedding.
    patch_encoder
        Whose features it reads, as the catalogue calls it; scale, tile and length of a vector are that one's.
    licence, gated
        Of the weights, and whether they are given out only after an agreement.
    source, page
        Where it is described, and the page that gives out code and weights.
    libraries, install
        Modules that must be there, and what brings them.
    load
        Returns what embeds, given a device and, where it needs one, the folder of its authors' code and weights. It
        runs code that is not ours.
    needs_folder
        Whether it does.
    hub_code
        Whether that code comes from the Hugging Face Hub when it is loaded.
    only_cuda
        Whether it runs on nothing else.
    half
        Whether it is run in mixed precision, float16, on such a device, as TRIDENT does.
    note
        What else to know, in sentences.
    """

    title: str
    width: int
    patch_encoder: str
    licence: str
    source: str
    page: str
    libraries: tuple[str, ...]
    install: str
    load: Callable[[str, Path | None], Embed]
    gated: bool = False
    needs_folder: bool = False
    hub_code: bool = False
    only_cuda: bool = False
    half: bool = False
    note: str = ""

    @property
    def reads(self) -> "EncoderIdentity":
        """What features must have been made by; of whatever version."""
        identity: EncoderIdentity = patch_encoders[self.patch_encoder].identity_of("")
        return identity

    def must_read(self, encoder: "EncoderIdentity", what: str) -> None:
        """Refuse features of another patch encoder, tile or scale, with both named.

        Raises
        ------
        MismatchError
            When name, length, tile or scale differ.
        """
        replace(self.reads, version=encoder.version).must_equal(encoder, what)

    @property
    def tried(self) -> str:
        """What was done with it here."""
        return "not run with real weights here"

    def must_be_ready(self, device: str, folder: Path | None, trusted: bool) -> None:
        """Refuse to load it before a person said that its authors' code may run, and all it needs is there.

        Raises
        ------
        SettingsError
            When that was not said, no folder is given, or the device will not do.
        MissingExtraError
            When a library is missing.
        """
        if not trusted:
            whence = "from the Hugging Face Hub" if self.hub_code else "of its authors"
            raise SettingsError(f"{self.title} runs code {whence}: read {self.page}, and say --trust-code to run it.")
        missing = [name for name in self.libraries if not _is_there(name)]
        if missing:
            raise MissingExtraError(f"{self.title} needs {', '.join(missing)}: {self.install}.")
        if self.needs_folder and (folder is None or not folder.is_dir()):
            raise SettingsError(
                f"{self.title} needs the folder of its code and weights ({self.page}): --weights FOLDER."
            )
        if self.only_cuda and not device.startswith("cuda"):
            raise SettingsError(f"{self.title} runs on a CUDA device only, not on {device}.")


def _is_there(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # the package that it is a part of is absent
        return False


def from_hub(repository: str, device: str, folder: Path | None) -> Any:
    """Return a model whose code lies beside its weights, from the Hub or a folder, in evaluation mode on a device."""
    from transformers import AutoModel

    place = str(folder) if folder else repository
    return AutoModel.from_pretrained(place, trust_remote_code=True).to(device).eval()
