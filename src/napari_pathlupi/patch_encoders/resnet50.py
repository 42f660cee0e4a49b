"""ResNet-50 trained on ImageNet, up to its third stage, as CLAM and TRIDENT use it."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Architecture, Preparation, Weights
from napari_pathlupi.patch_encoders._timm import timm

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors

STAGES = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")


@dataclass(frozen=True, slots=True)
class ThirdStage(Architecture):
    """The mean over the tile of what the third of four stages gives."""

    def build(self) -> "Module":
        """Return the network."""
        from torch import nn

        whole = timm().create_model("resnet50", pretrained=False, num_classes=0)
        parts = OrderedDict((name, getattr(whole, name)) for name in STAGES)
        return nn.Sequential(parts | {"mean": nn.AdaptiveAvgPool2d(1), "vector": nn.Flatten(1)})

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Leave out the fourth stage and the classifier."""
        return {name: value for name, value in published.items() if not name.startswith(("layer4.", "fc."))}


ENCODER = PretrainedEncoder(
    name="resnet50",
    title="ResNet-50 (ImageNet)",
    dim=1024,
    tile_px=256,
    mpp=0.5,
    licence="BSD-3-Clause",
    source="He et al., CVPR 2016; weights of torchvision",
    note="A baseline: it has never seen tissue.",
    preparation=Preparation(resize_px=224),
    architecture=ThirdStage(),
    weights=Weights("timm/resnet50.tv_in1k"),
)
