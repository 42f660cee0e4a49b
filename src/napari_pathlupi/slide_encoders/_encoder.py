"""What every slide encoder declares and returns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch of slides after the slide encoder.

    Parameters
    ----------
    embedding
        (slides, width): what the task head and the molecular objective read.
    attention
        (slides, tiles): share of each tile, summing to 1 over the real ones; None for an encoder that gives none.
    """

    embedding: Float[Tensor, "slides width"]
    attention: Float[Tensor, "slides tiles"] | None


class SlideEncoder(nn.Module, ABC):
    """Turns bags of tile vectors into slide embeddings.

    Each file of the room defines a subclass and names it ``ENCODER``; it is built with ``ENCODER(dim, **settings)``
    and the settings are JSON values, kept in the bundle's card.
    """

    order_free: ClassVar[bool] = True
    """Whether the order of the tiles changes nothing."""
    gives_attention: ClassVar[bool] = True
    """Whether there is an attention map to show."""

    width: int
    """Length of the embedding."""

    @abstractmethod
    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        """Encode padded bags; ``real`` is False on padding, which must change nothing."""

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"] | None:
        """Return the exact share of each tile in ``weight @ embedding``, or None where there is no such share."""
        return None
