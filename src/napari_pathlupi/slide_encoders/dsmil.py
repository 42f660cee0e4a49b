"""DSMIL: the most telling tile of each class, and all others as far as they resemble it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from napari_pathlupi.errors import BundleError
from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._pooling import shares_of


class DSMIL(SlideEncoder):
    """For each class, tiles weighted by how much they resemble the tile that scores highest for it.

    Li, Li and Eliceiri, "Dual-stream multiple instance learning network", CVPR 2021, equations 2 to 6: a linear
    classifier scores every tile, ``q`` of the highest of a class is compared with ``q`` of all, and the tiles (or
    ``v`` of them) are summed by the softmax over ``q · q_highest / sqrt(query)`` (the scale as in the published code).
    The embedding is these sums, class after class, and the highest scores; a linear head on it is the published last
    layer, which may also read those scores. The published loss gives the highest scores the same weight as the head.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    outputs
        How many classes.
    query
        Length of ``q``.
    deep
        Whether ``q`` is two layers and a tanh, or one layer.
    value
        Whether ``v`` is a layer, or the tile itself.
    """

    by_output: ClassVar[bool] = True

    def __init__(self, dim: int, outputs: int = 2, query: int = 128, deep: bool = True, value: bool = False) -> None:
        super().__init__()
        self.width = outputs * (dim + 1)
        self.scores = nn.Linear(dim, outputs)
        layers = (nn.Linear(dim, query), nn.ReLU(), nn.Linear(query, query), nn.Tanh())
        self.query = nn.Sequential(*layers) if deep else nn.Linear(dim, query)
        self.value = nn.Sequential(nn.Linear(dim, dim), nn.ReLU()) if value else nn.Identity()

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        highest, where = self.scores(features).masked_fill(~real[..., None], -torch.inf).max(dim=1)  # s c
        queries = self.query(features)  # s n q
        critical = queries.take_along_dim(where[..., None], dim=1)  # s c q
        shares = shares_of(critical @ queries.mT * queries.shape[-1] ** -0.5, real[:, None])  # s c n
        pooled = shares @ self.value(features)  # s c d
        return Encoded(torch.cat([pooled.flatten(1), highest], dim=1), shares.mean(dim=1), shares)

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        real = torch.ones(1, len(features), dtype=torch.bool, device=features.device)
        shares = self(features[None], real).heads[0]  # k n, one k for each output
        highest, where = self.scores(features).max(dim=0)  # k
        pooled, direct = weight[:, : -len(highest)], weight[:, -len(highest) :]
        by_output = pooled.view(len(weight), len(highest), -1)  # c k d
        spoken = torch.einsum("nd,ckd->nck", self.value(features), by_output)
        return torch.einsum("kn,nck->nc", shares, spoken).index_add(0, where, (direct * highest).mT)

    def extra_loss(
        self, encoded: Encoded, real: Bool[Tensor, "slides tiles"], labels: Int[Tensor, " slides"]
    ) -> Float[Tensor, ""]:
        known, outputs = labels >= 0, self.scores.out_features
        if not known.any():
            return encoded.embedding.new_zeros(())
        wanted = one_hot(labels[known], outputs).to(encoded.embedding.dtype)
        return binary_cross_entropy_with_logits(encoded.embedding[known, -outputs:], wanted)


def read_published(tensors: Mapping[str, Tensor]) -> tuple[DSMIL, nn.Linear | None]:
    """Return the network of a published checkpoint, and its last layer as a head, or None where it has none.

    Parameters
    ----------
    tensors
        By name, as the authors' code saves them: ``torch.load(path, weights_only=True, map_location="cpu")``. Of an
        initialisation (no classifiers) the tile classifier stays random.

    Raises
    ------
    BundleError
        When they are not of this network.
    """
    names = {
        "i_classifier.fc.0.": "scores.",
        "b_classifier.q.0.": "query.0.",
        "b_classifier.q.2.": "query.2.",
        "b_classifier.q.": "query.",
        "b_classifier.v.1.": "value.0.",
    }
    known: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        start = next((old for old in names if name.startswith(old)), None)
        if start is not None:
            known[name.replace(start, names[start])] = tensor
    try:
        network = DSMIL(**_settings_of(known))
        lacking, _ = network.load_state_dict(known, strict=False)
        if {name.split(".")[0] for name in lacking} - {"scores"}:
            raise KeyError(f"no {', '.join(lacking)}")
        return network.eval(), _head_of(tensors, network)
    except (KeyError, RuntimeError) as error:
        raise BundleError(f"these are not the weights of a published DSMIL: {error}.") from error


def _settings_of(known: Mapping[str, Tensor]) -> dict[str, Any]:
    deep = "query.0.weight" in known
    query, dim = known["query.0.weight" if deep else "query.weight"].shape
    outputs = len(known["scores.bias"]) if "scores.bias" in known else 2
    return {"dim": dim, "outputs": outputs, "query": query, "deep": deep, "value": "value.0.weight" in known}


def _head_of(tensors: Mapping[str, Tensor], network: DSMIL) -> nn.Linear | None:
    """The published last layer; it reads the sums only."""
    if "b_classifier.fcc.weight" not in tensors:
        return None
    weight, outputs = tensors["b_classifier.fcc.weight"], network.scores.out_features
    head = nn.Linear(network.width, outputs)
    with torch.no_grad():
        head.weight.copy_(torch.cat([weight.flatten(1), torch.zeros(outputs, outputs)], dim=1))
        head.bias.copy_(tensors["b_classifier.fcc.bias"])
    return head


ENCODER = DSMIL
