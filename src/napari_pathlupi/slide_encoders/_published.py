"""What a published PathLUPI checkpoint tells of its network, and which of its tensors fit ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from napari_pathlupi.errors import BundleError

WRAPPED = ("state_dict", "model", "model_state_dict")
"""Under which of these names the published files may keep their tensors."""
UNVERIFIED = (
    "nobody here has read the published network or loaded its weights; which layers lie between these tensors, their "
    "activations, what the token generator reads and in which order it gives its numbers are inferred, so that no "
    "answer is made of them"
)


@dataclass(frozen=True, slots=True, eq=False)
class PublishedPathLUPI:
    """The shapes that a checkpoint's tensors tell.

    Parameters
    ----------
    dim, projection, tokens, classes
        Length of a tile's vector and of a projected tile, number of tokens and of outputs.
    set_sizes
        Genes of each gene set, in order.
    fitting
        Tensors by the name that they have in `PathLUPI`.
    unread
        Names of all others.
    """

    dim: int
    projection: int
    tokens: int
    classes: int
    set_sizes: tuple[int, ...]
    fitting: Mapping[str, Tensor]
    unread: tuple[str, ...]

    @property
    def words(self) -> str:
        """What is known and what is not, in a few sentences."""
        return (
            f"{self.tokens} tokens of {self.projection} from tiles of {self.dim} numbers, {len(self.set_sizes)} gene "
            f"sets of {sum(self.set_sizes)} genes, {self.classes} outputs. {len(self.fitting)} tensors fit, "
            f"{len(self.unread)} do not. Unverified: {UNVERIFIED}."
        )


def read_published(payload: Mapping[str, Any]) -> PublishedPathLUPI:
    """Return what a published checkpoint tells of its network.

    The names are those that a third-party loader expects; we have not seen a checkpoint.

    Parameters
    ----------
    payload
        ``torch.load(path, weights_only=True, map_location="cpu")``.

    Raises
    ------
    BundleError
        When a tensor that must be there is not, or shapes contradict each other.
    """
    for name in WRAPPED:
        inner = payload.get(name)
        payload = inner if isinstance(inner, Mapping) else payload
    tensors = {name.removeprefix("module."): tensor for name, tensor in payload.items() if isinstance(tensor, Tensor)}
    projection, dim = _shape(tensors, "wsi_net.0.weight")
    numbers, hidden = _shape(tensors, "recon_net.token_generator.2.weight")
    classes, _ = _shape(tensors, "classifier.weight")
    if numbers % projection:
        raise BundleError(f"the token generator gives {numbers} numbers: not a number of tokens of {projection} each.")
    if (
        "recon_net.token_generator.0.weight" in tensors
        and tensors["recon_net.token_generator.0.weight"].shape[0] != hidden
    ):
        raise BundleError("the two layers of the token generator do not fit each other.")
    pattern = re.compile(r"recon_net\.sig_reconstruct_net\.(\d+)\.4\.weight")
    sizes = {int(found[1]): len(tensor) for name, tensor in tensors.items() if (found := pattern.fullmatch(name))}
    if sorted(sizes) != list(range(len(sizes))) or not sizes:
        raise BundleError(f"heads of gene sets are numbered {sorted(sizes)}: they must begin at 0 and lack none.")
    ours = re.compile(r"(wsi_net\.0|recon_net\.token_generator\.[02])\.(weight|bias)")
    fitting = {name.removeprefix("recon_net."): tensor for name, tensor in tensors.items() if ours.fullmatch(name)}
    unread = tuple(sorted(name for name in tensors if not ours.fullmatch(name)))
    ordered = tuple(sizes[i] for i in range(len(sizes)))
    return PublishedPathLUPI(dim, projection, numbers // projection, classes, ordered, fitting, unread)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    if name not in tensors or tensors[name].ndim != 2:
        raise BundleError(f"this is no PathLUPI checkpoint as it is known: it has no matrix called {name}.")
    rows, columns = tensors[name].shape
    return rows, columns
