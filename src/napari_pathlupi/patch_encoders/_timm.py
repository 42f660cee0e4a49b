"""Vision transformers that timm builds, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.patch_encoders._published import INSTALL, Architecture

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors


def timm() -> ModuleType:
    """Return timm.

    Raises
    ------
    MissingExtraError
        When it is absent or broken: its import of torchvision fails with a RuntimeError beside another build of torch.
    """
    return load_extra("timm", INSTALL[""])


@dataclass(frozen=True, slots=True)
class VisionTransformer(Architecture):
    """A vision transformer of timm and how its tokens become one vector.

    Parameters
    ----------
    model
        Its name in timm.
    arguments
        What differs from it.
    swiglu
        Whether its blocks are gated by SiLU (SwiGLU), the two halves in one matrix.
    norm_eps
        Of its layer norms, where it is not timm's 1e-6.
    pooling
        "cls": the class token after the last norm. "cls+mean": that and the mean of the patch tokens behind it, which
        leaves out register tokens.
    layout
        Who named the tensors in the published file: timm, Meta's DINOv2 or transformers.
    positions
        How position embeddings of another grid are resized: "" (there are none), "bicubic" as transformers does, or
        "bicubic-antialias" as timm does.
    """

    model: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    swiglu: bool = False
    norm_eps: float = 0.0
    pooling: Literal["cls", "cls+mean"] = "cls"
    layout: Literal["timm", "dinov2", "transformers"] = "timm"
    positions: Literal["", "bicubic", "bicubic-antialias"] = ""

    def build(self) -> "Module":
        """Return the network, its tokens pooled."""
        from napari_pathlupi.patch_encoders._transformers import Pooled

        return Pooled(self.trunk(), self.pooling)

    def trunk(self) -> "Module":
        """Return the network without the pooling."""
        library = timm()
        from torch import nn

        arguments = {"num_classes": 0, "pretrained": False, "weight_init": "skip", **self.arguments}
        if self.swiglu:
            arguments |= {"mlp_layer": library.layers.SwiGLUPacked, "act_layer": nn.SiLU}
        if self.norm_eps:
            arguments["norm_layer"] = lambda width, **more: nn.LayerNorm(width, self.norm_eps, **more)
        module: Module = library.create_model(self.model, **arguments)
        return module

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return the network's tensors by its own names, from those in the file by theirs."""
        from napari_pathlupi.patch_encoders._transformers import renamed, with_positions_of

        own = {f"trunk.{name}": value for name, value in renamed(published, self.layout).items()}
        return with_positions_of(network, own, "trunk.pos_embed", self.positions) if self.positions else own
