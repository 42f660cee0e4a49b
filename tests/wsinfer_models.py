"""Tiny models in WSInfer's format: TorchScript networks that look at nothing but the mean redness of a tile."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CONFIG = {
    "spec_version": "1.0",
    "architecture": "resnet34",
    "num_classes": 2,
    "patch_size_pixels": 350,
    "spacing_um_px": 0.25,
    "class_names": ["Other", "Tumor"],
    "transform": [
        {"name": "Resize", "arguments": {"size": 224}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": [0.7, 0.6, 0.7], "std": [0.2, 0.3, 0.2]}},
    ],
}


class Redness(nn.Module):
    """Logits that rise with the mean of the normalised red channel, by ``slopes``."""

    def __init__(self, slopes: list[float]) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(slopes))

    def forward(self, planes: Tensor) -> Tensor:
        return planes[:, 0].mean(dim=(1, 2))[:, None] * self.slopes


def write_wsinfer(folder: Path, slopes: list[float] | None = None, **changes: Any) -> Path:
    """A folder as WSInfer's zoo has them; ``changes`` replace keys of its configuration, None takes one out."""
    slopes = [-1.0, 1.0] if slopes is None else slopes
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Redness(slopes).eval()).save(str(folder / "torchscript_model.pt"))
    return folder
