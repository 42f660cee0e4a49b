"""The pages on encoders say what the catalogue says, and their examples run."""

import re
import runpy
from pathlib import Path

import torch

from napari_pathlupi.patch_encoders._encoder import PatchEncoder
from napari_pathlupi.patch_encoders._loading import built

DOCS = Path(__file__).parents[2] / "docs"


def test_the_cards_are_those_of_the_catalogue():
    made = runpy.run_path(str(DOCS / "make_encoder_cards.py"))
    assert made["FILE"].read_text() == made["page"](), "run: python docs/make_encoder_cards.py"


def test_the_examples_of_the_how_to_run():
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "how-to/add-an-encoder.md").read_text(), re.DOTALL)
    entries = []
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        entries.append(names["ENCODER"])
    assert all(isinstance(entry, PatchEncoder) for entry in entries)
    computed, pretrained = entries
    tiles = torch.full((2, 256, 256, 3), 7, dtype=torch.uint8)
    assert computed.load("cpu").encode(tiles).tolist() == [[7.0] * 3] * 2
    network = built(pretrained.architecture)
    assert abs(sum(p.numel() for p in network.parameters()) / 1e6 - pretrained.weights.millions) <= 1
    assert network(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, pretrained.dim)
