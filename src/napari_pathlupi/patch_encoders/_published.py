"""What others published of a network, as data: what it is given, how it is built, and where its weights are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    Tensors = Mapping[str, Tensor]

INSTALL = {
    "musk": "pip install git+https://github.com/lilab-stanford/MUSK",
    "": "pip install -c constraints.txt 'napari-pathlupi[encoders]'",
}
"""What brings a library; most come with the extra."""

Colour = tuple[float, float, float]

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)
HALF: Colour = (0.5, 0.5, 0.5)
"""Mean and standard deviation that bring 0..1 to -1..1."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What happens to a tile before the network, as its publishers do it with Pillow and torchvision.

    Parameters
    ----------
    input_px
        Side of what the network sees; cropped from the centre.
    resize_px
        Side after resizing, before the crop; 0: as the tile is.
    interpolation
        Of the resizing, always with anti-aliasing.
    mean, std
        Of red, green and blue between 0 and 1.
    """

    input_px: int = 224
    resize_px: int = 0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD

    @property
    def words(self) -> str:
        """What happens to a tile, for a card."""
        resizing = f"resized to {self.resize_px} px ({self.interpolation}, anti-aliased), " if self.resize_px else ""
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"sees {self.input_px} px: {resizing}mean {mean}, std {std}"


@dataclass(frozen=True, slots=True)
class Weights:
    """Where the weights of a network are given out.

    Parameters
    ----------
    repository
        Name on the Hugging Face Hub; "" where the publishers give out a file elsewhere.
    files
        Names that the file may have there, best first.
    page
        Address of the page that gives them out, where it is not the repository's.
    parameters
        Published number of parameters, as "303 M" or "1.1 B"; "" where none was found.
    of_whole_file
        Whether that counts all of the file, of which the encoder is a part.
    """

    repository: str
    files: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")
    page: str = ""
    parameters: str = ""
    of_whole_file: bool = False

    @property
    def address(self) -> str:
        """The page that gives them out."""
        return self.page or f"https://huggingface.co/{self.repository}"

    @property
    def size(self) -> str:
        """About how large the file is, "" when unknown: four bytes a parameter."""
        return f"about {self.millions * 4e-3:.2g} GB" if self.parameters else ""

    @property
    def count_words(self) -> str:
        """Published number of parameters and whether a test compares the network with it, for a card."""
        if self.parameters and not self.of_whole_file:
            return f"{self.parameters}, as published"
        return f"{self.parameters} in the whole file; count not checked" if self.parameters else "count not checked"

    @property
    def millions(self) -> float:
        """Published number of parameters in millions, 0 where none was found."""
        number, _, unit = self.parameters.partition(" ")
        return float(number or 0) * (1000 if unit == "B" else 1)


class Architecture(ABC):
    """Builds a network and takes its tensors out of a published file."""

    __slots__ = ()

    @property
    def requires(self) -> tuple[str, ...]:
        """Libraries that are no part of the plain installation."""
        return ("timm", "huggingface_hub")

    @abstractmethod
    def build(self) -> "Module":
        """Return the network: (tiles, 3, input_px, input_px) normalised -> (tiles, dim)."""

    @abstractmethod
    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return the network's tensors by its own names, from those in the file by theirs."""
