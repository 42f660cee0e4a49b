"""Models of WSInfer: a folder with ``config.json`` and ``torchscript_model.pt``.

After the schema of the WSInfer model zoo, "model-config.schema.json", specification 1.0, and what the command line of
WSInfer makes of it: sigmoid where there is one class, softmax over several. (The extension for QuPath takes softmax
always, which is 1 for every tile of a model of one class.)
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_pathlupi.errors import BundleError, InferenceError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CONFIG, NETWORK = "config.json", "torchscript_model.pt"
ORDER = ("Resize", "ToTensor", "Normalize")

Name = Annotated[str, Field(min_length=1)]
Side = Annotated[int, Field(gt=0)]


class Step(BaseModel):
    """One step of what happens to a tile before the network, as torchvision names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["Resize", "ToTensor", "Normalize"]
    arguments: dict[str, Any] = {}


class _Size(BaseModel):
    size: Side | tuple[Side] | tuple[Side, Side]


class _Colours(BaseModel):
    mean: tuple[float, float, float]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=3, max_length=3)]


class WsinferConfig(BaseModel):
    """What ``config.json`` says; further keys are left alone, as the schema does."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    spec_version: Literal["1.0"]
    architecture: str
    num_classes: Annotated[int, Field(ge=1)]
    patch_size_pixels: Side
    spacing_um_px: Annotated[float, Field(gt=0)]
    class_names: tuple[Name, ...]
    transform: tuple[Step, ...]

    @model_validator(mode="after")
    def _must_agree(self) -> Self:
        if len(self.class_names) != self.num_classes or len(set(self.class_names)) < self.num_classes:
            raise ValueError(f"{self.num_classes} classes need as many different names, got {list(self.class_names)}")
        steps = [step.name for step in self.transform]
        if "ToTensor" not in steps or steps != [name for name in ORDER if name in steps]:
            raise ValueError(f"only {', '.join(ORDER)} in this order can be followed, got {', '.join(steps)}")
        for step, reader in (("Resize", _Size), ("Normalize", _Colours)):
            if step in steps:
                reader.model_validate(self._arguments(step))
        if self.resize_px is None:
            raise ValueError("a tile can be resized to a square only")
        return self

    def _arguments(self, name: str) -> dict[str, Any]:
        return next((step.arguments for step in self.transform if step.name == name), {})

    @property
    def resize_px(self) -> int | None:
        """Side of a tile after resizing, 0 for none; None where it is no square."""
        size = self._arguments("Resize").get("size", 0)
        sides = set(size) if isinstance(size, list | tuple) else {size}
        return int(sides.pop()) if len(sides) == 1 else None

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of red, green and blue between 0 and 1."""
        return self._colour("mean", 0.0)

    @property
    def std(self) -> tuple[float, float, float]:
        """Of red, green and blue between 0 and 1."""
        return self._colour("std", 1.0)

    def _colour(self, name: str, otherwise: float) -> tuple[float, float, float]:
        red, green, blue = self._arguments("Normalize").get(name, (otherwise,) * 3)
        return float(red), float(green), float(blue)


@dataclass(frozen=True, slots=True)
class WsinferModel:
    """A folder of WSInfer, its network not loaded yet.

    Parameters
    ----------
    folder
        Where it lies.
    config
        What it says of itself.
    digest
        SHA-256 of both files.
    """

    folder: Path
    config: WsinferConfig
    digest: str

    def network(self, device: str) -> "Module":
        """Return the network on a device: normalised (tiles, 3, side, side) -> logits (tiles, classes).

        Raises
        ------
        BundleError
            When the file is no TorchScript.
        """
        import torch

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # torch advises another format; this one is given
                network: Module = torch.jit.load(str(self.folder / NETWORK), map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{self.folder / NETWORK} is no TorchScript network ({reason}): copy it again."
            ) from error
        return network.eval()

    def probabilities(self, logits: "Tensor") -> "Tensor":
        """(tiles, classes) probability of each class: sigmoid where there is one, softmax over several.

        Raises
        ------
        InferenceError
            When the network gives another number of values than there are classes.
        """
        classes = self.config.num_classes
        if classes == 1 and logits.ndim == 1:
            logits = logits[:, None]
        if logits.ndim != 2 or logits.shape[1] != classes:
            raise InferenceError(
                f"the network of {self.folder.name} gives an array of shape {tuple(logits.shape)} where {classes} "
                f"values for each tile are needed: its {CONFIG} is another model's."
            )
        return logits.float().sigmoid() if classes == 1 else logits.float().softmax(dim=1)


def is_wsinfer(folder: Path) -> bool:
    """Whether a folder holds the network of a model of WSInfer."""
    return (folder / NETWORK).is_file()


def read_wsinfer(folder: Path) -> WsinferModel:
    """Return the model in a folder.

    Raises
    ------
    BundleError
        When its configuration is not one of specification 1.0.
    """
    try:
        text = (folder / CONFIG).read_bytes()
        with (folder / NETWORK).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").digest()
        config = WsinferConfig.model_validate(json.loads(text))
    except OSError as error:
        raise BundleError(f"cannot read {error.filename} ({error.strerror}): copy the model again.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "whole"
        raise BundleError(f"{folder / CONFIG} is no WSInfer configuration at {where!r}: {first['msg']}.") from error
    except ValueError as error:
        raise BundleError(f"{folder / CONFIG} is not JSON ({error}): copy it again.") from error
    return WsinferModel(folder, config, hashlib.sha256(text + weights).hexdigest())
