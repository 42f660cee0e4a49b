"""scGPT's published checkpoints: a folder of best_model.pt, args.json and vocab.json.

Names and meaning of the tensors and settings are those of the published code (github.com/bowang-lab/scGPT:
``scgpt/model/model.py``, ``scgpt/utils/util.py``, ``scgpt/tasks/cell_emb.py``). No real checkpoint was at hand: this
is tested with made files of that layout only.
"""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_pathlupi.errors import WeightsError
from napari_pathlupi.molecular.encoders.scgpt import CLS_VALUE, ScGPT

_NAMES = (
    (r"^encoder\.enc_norm\.", "genes_norm."),
    (r"^value_encoder\.linear1\.", "values.0."),
    (r"^value_encoder\.linear2\.", "values.2."),
    (r"^value_encoder\.norm\.", "values.3."),
    (r"^transformer_encoder\.layers\.", "blocks."),
    (r"\.self_attn\.(_impl\.)?Wqkv\.", ".qkv."),
    (r"\.self_attn\.in_proj_", ".qkv."),
    (r"\.self_attn\.(_impl\.)?out_proj\.", ".out."),
)
"""Theirs to ours: flash attention's Wqkv and torch's in_proj are the same rows, queries, keys, values."""
_EMBEDDING = "encoder.embedding.weight"
_SETTINGS = {"token": "embsize", "blocks": "nlayers", "heads": "nheads"}
_ONLY = {"input_emb_style": "continuous", "pre_norm": False, "pad_value": int(CLS_VALUE)}


@dataclass(frozen=True, slots=True)
class ScGPTFiles:
    """A published checkpoint.

    Parameters
    ----------
    folder
        Where its three files are.
    vocabulary
        Row of the embedding of each gene and of the tokens in pointed brackets.
    settings
        What `ScGPT` is to be built with.
    """

    folder: Path
    vocabulary: Mapping[str, int]
    settings: Mapping[str, int]

    def known(self, genes: Sequence[str]) -> tuple[str, ...]:
        """Return the genes that it has an embedding of: only those can be the columns of its encoder."""
        return tuple(gene for gene in genes if gene in self.vocabulary)

    def fill(self, encoder: ScGPT, genes: Sequence[str]) -> None:
        """Put the published weights into an encoder of these genes; the projection stays as it is.

        Raises
        ------
        WeightsError
            When a gene is not in the vocabulary, or a tensor is missing or has another shape; the first is named.
        """
        absent = [gene for gene in genes if gene not in self.vocabulary]
        if absent:
            raise WeightsError(
                f"{len(absent)} of {len(genes)} genes are not in {self.folder / 'vocab.json'} ({', '.join(absent[:3])}"
                f"{' ...' if len(absent) > 3 else ''}): leave them out of the table."
            )
        path = self.folder / "best_model.pt"
        tensors = _tensors(path)
        rows = torch.tensor([self.vocabulary[name] for name in ("<cls>", *genes)])
        embedding = tensors.get(_EMBEDDING)
        if embedding is None or embedding.ndim != 2 or len(embedding) <= rows.max():
            there = "is missing" if embedding is None else f"is {tuple(embedding.shape)}"
            raise WeightsError(f"{path}: {_EMBEDDING} {there}, not a row for each of {len(self.vocabulary)} tokens.")
        given = {"genes.weight": embedding[rows]} | {_our_name(name): value for name, value in tensors.items()}
        own = encoder.state_dict()
        for name in own:
            if name.startswith("project."):
                continue
            if name not in given or given[name].shape != own[name].shape:
                there = f"is {tuple(given[name].shape)}" if name in given else "is missing"
                raise WeightsError(
                    f"{path} does not fit its args.json: {name} {there}, not {tuple(own[name].shape)} "
                    "(by this package's name of it); get all three files of one checkpoint."
                )
        encoder.load_state_dict({name: given.get(name, value) for name, value in own.items()})


def read_scgpt(folder: str | Path) -> ScGPTFiles:
    """Return what a folder of scGPT's holds; its weights are read by `ScGPTFiles.fill`.

    Raises
    ------
    WeightsError
        When a file is missing or not what scGPT's code writes, or the network reads expression otherwise.
    """
    folder = Path(folder)
    vocabulary, settings = _json(folder / "vocab.json"), _json(folder / "args.json")
    if not all(isinstance(row, int) for row in vocabulary.values()) or "<cls>" not in vocabulary:
        raise WeightsError(f"{folder / 'vocab.json'} is not a number for each gene and for <cls>: get it again.")
    lacking = [name for name in _SETTINGS.values() if not isinstance(settings.get(name), int)]
    if lacking:
        raise WeightsError(f"{folder / 'args.json'} does not say {', '.join(lacking)}: get it again.")
    other = [f"{name} = {settings[name]!r}" for name, value in _ONLY.items() if settings.get(name, value) != value]
    if other:
        raise WeightsError(
            f"{folder / 'args.json'} says {', '.join(other)}: only networks with "
            f"{', '.join(f'{name} = {value!r}' for name, value in _ONLY.items())} are known here."
        )
    return ScGPTFiles(folder, vocabulary, {ours: settings[theirs] for ours, theirs in _SETTINGS.items()})


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {path}: {error}; scGPT's folders hold it.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds no names with values: get it again.")
    return content


def _our_name(name: str) -> str:
    for theirs, ours in _NAMES:
        name = re.sub(theirs, ours, name)
    return name


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} holds more than tensors, which could run code, and is not opened.") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read as weights ({error}): get it again.") from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds no tensors by name: get it again.")
    return {str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}
