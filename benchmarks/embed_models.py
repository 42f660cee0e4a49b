"""Networks with random weights for the benchmarks of the pipeline."""

from pathlib import Path
from typing import Any

import torch

INPUT_PX = 224
_LIBRARIES: list[Any] = []


def let_torchvision_load() -> None:
    """Declare two operators of torchvision where it was built for another torch: timm imports it, and needs neither."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)


def resnet50(weights: Path) -> torch.nn.Module:
    """The network of the catalogue's resnet50 as timm builds it, run plainly; random weights where there are none."""
    let_torchvision_load()
    from safetensors.torch import load_file, save_file

    from napari_pathlupi.catalogue import patch_encoders

    torch.manual_seed(0)
    network: torch.nn.Module = patch_encoders["resnet50"].architecture.build()
    if weights.exists():
        network.load_state_dict(load_file(weights))
    else:
        save_file(network.state_dict(), weights)
    return network.eval()
