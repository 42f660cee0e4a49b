"""A folder of the layout in which scGPT's code writes a network, of a few numbers."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

VOCABULARY = {"MKI67": 0, "A1BG": 1, "TP53": 2, "ESR1": 3, "<pad>": 4, "<cls>": 5, "CD8A": 6, "KRT5": 7, "<eoc>": 8}
TOKEN, BLOCKS, HEADS = 16, 2, 4


def a_transformer() -> torch.nn.TransformerEncoder:
    """torch's own, of random weights."""
    torch.manual_seed(3)
    layer = torch.nn.TransformerEncoderLayer(TOKEN, HEADS, TOKEN, batch_first=True)
    return torch.nn.TransformerEncoder(layer, BLOCKS, enable_nested_tensor=False).eval()


def published(
    theirs: torch.nn.TransformerEncoder, flash: bool, vocabulary: Mapping[str, int] = VOCABULARY
) -> dict[str, torch.Tensor]:
    """Tensors as scGPT's code names them, with decoders that nobody here reads."""
    made = torch.Generator().manual_seed(2)
    shapes = {"encoder.embedding.weight": (len(vocabulary), TOKEN), "value_encoder.linear1.weight": (TOKEN, 1)}
    shapes |= {"value_encoder.linear2.weight": (TOKEN, TOKEN), "decoder.fc.0.weight": (TOKEN, TOKEN)}
    for name in ("encoder.enc_norm", "value_encoder.norm"):
        shapes |= {f"{name}.weight": (TOKEN,), f"{name}.bias": (TOKEN,)}
    shapes |= {f"value_encoder.linear{i}.bias": (TOKEN,) for i in (1, 2)} | {"flag_encoder.weight": (2, TOKEN)}
    tensors = {name: torch.randn(shape, generator=made) for name, shape in shapes.items()}
    for name, value in theirs.state_dict().items():
        renamed = name.replace("self_attn.in_proj_", "self_attn.Wqkv.") if flash else name
        tensors[f"transformer_encoder.{renamed}"] = value
    return tensors


def write_folder(
    folder: Path, tensors: dict[str, torch.Tensor], vocabulary: Mapping[str, int] = VOCABULARY, **arguments
) -> Path:
    settings = {"embsize": TOKEN, "nlayers": BLOCKS, "nheads": HEADS, "d_hid": TOKEN, "pad_value": -2, "dropout": 0.2}
    (folder / "args.json").write_text(json.dumps(settings | arguments))
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    torch.save(tensors, folder / "best_model.pt")
    return folder
