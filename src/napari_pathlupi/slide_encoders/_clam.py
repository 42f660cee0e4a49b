"""What the two networks of CLAM learn beside the class of the slide: whether a tile is typical of it."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from napari_pathlupi.slide_encoders._encoder import Encoded
from napari_pathlupi.slide_encoders._pooling import GatedPooling

INSTANCE_WEIGHT = 0.3 / 0.7
"""Of the loss over tiles beside that over slides: the published 0.7 for slides and 0.3 for tiles, divided by 0.7."""


class CLAM(GatedPooling):
    """Gated attention pooling with a classifier of tiles for each class, in training only.

    Lu et al., "Data-efficient and weakly supervised computational pathology on whole-slide images", Nature Biomedical
    Engineering 2021, Methods: of each slide the tiles with most attention are to be told from those with least, by the
    classifier of its class; those with most attention are no tiles of any other class (the published option for
    subtypes that exclude each other). Cross entropy over tiles, as in the published code's default (the paper names a
    smooth support vector loss); the widths are our choice (published: 512 and 256).

    Parameters
    ----------
    dim, width, hidden, dropout
        As of `GatedPooling`.
    outputs
        How many classes.
    sampled
        How many tiles with most and with least attention; at most half of the tiles of a slide each.
    """

    by_output: ClassVar[bool] = True
    branches: ClassVar[bool]
    """Whether each class has an attention of its own."""

    def __init__(
        self, dim: int, outputs: int = 2, width: int = 64, hidden: int = 32, dropout: float = 0.25, sampled: int = 8
    ) -> None:
        super().__init__(dim, width, hidden, dropout, heads=outputs if self.branches else 1)
        self.sampled = sampled
        self.instances = nn.Linear(width, 2 * outputs)

    def extra_loss(
        self, encoded: Encoded, real: Bool[Tensor, "slides tiles"], labels: Int[Tensor, " slides"]
    ) -> Float[Tensor, ""]:
        losses = [self._of_slide(encoded, i, real[i], label) for i, label in enumerate(labels.tolist()) if label >= 0]
        losses = losses or [encoded.embedding.new_zeros(())]
        return INSTANCE_WEIGHT * torch.stack(losses).mean()

    def _of_slide(self, encoded: Encoded, slide: int, real: Bool[Tensor, " tiles"], label: int) -> Float[Tensor, ""]:
        assert encoded.tiles is not None and encoded.heads is not None
        tiles, shares = encoded.tiles[slide, real], encoded.heads[slide][:, real]
        count, classes = min(self.sampled, len(tiles) // 2), self.instances.out_features // 2
        if not count:
            return tiles.new_zeros(())
        order = shares.detach().argsort(dim=1, descending=True)
        chosen = torch.cat([order[:, :count], order[:, -count:]], dim=1).expand(classes, -1)  # c t
        weight, bias = self.instances.weight.view(classes, 2, -1), self.instances.bias.view(classes, 1, 2)
        said = tiles[chosen] @ weight.mT + bias  # c t 2
        own = torch.arange(classes, device=tiles.device)[:, None] == label
        most = torch.arange(2 * count, device=tiles.device) < count
        wrong = cross_entropy(said.mT, (own & most).long(), reduction="none") * (own | most)
        return (wrong.sum(dim=1) / (own | most).sum(dim=1)).mean()
