"""What every slide encoder declares and returns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from napari_pathlupi.errors import MismatchError

if TYPE_CHECKING:
    from napari_pathlupi.slide_encoders._stream import Stream


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch of slides after the slide encoder.

    Parameters
    ----------
    embedding
        (slides, width): what the task head and most molecular objectives read.
    attention
        (slides, tiles): share of each tile, summing to 1 over the real ones; None for an encoder that gives none.
    heads
        (slides, heads, tiles): the same for each head, of which ``attention`` is the mean; None without heads. A head
        is a class for an encoder built ``by_output``, and a token where there are ``tokens``.
    tokens
        (slides, tokens, token width): what an objective may read in place of the embedding; None without tokens.
    tiles
        (slides, tiles, part): the vectors that were pooled, for `SlideEncoder.extra_loss`; None where nobody asks.
    """

    embedding: Float[Tensor, "slides width"]
    attention: Float[Tensor, "slides tiles"] | None
    heads: Float[Tensor, "slides heads tiles"] | None = None
    tokens: Float[Tensor, "slides tokens part"] | None = None
    tiles: Float[Tensor, "slides tiles pooled"] | None = None


class SlideEncoder(nn.Module, ABC):
    """Turns bags of tile vectors into slide embeddings.

    Each file of the room defines a subclass and names it ``ENCODER``; it is built with ``ENCODER(dim, **settings)``
    and the settings are JSON values, kept in the bundle's card.
    """

    order_free: ClassVar[bool] = True
    """Whether the order of the tiles changes nothing."""
    gives_attention: ClassVar[bool] = True
    """Whether there is an attention map to show."""
    streams: ClassVar[bool] = False
    """Whether it can read a slide in parts, see `stream`."""
    by_output: ClassVar[bool] = False
    """Whether it is built with ``outputs``, the number of outputs of the task (for a classification the classes)."""

    width: int
    """Length of the embedding."""
    token_shape: tuple[int, int] = (0, 0)
    """How many tokens there are and how long each is."""

    @abstractmethod
    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        """Encode padded bags; ``real`` is False on padding, which must change nothing."""

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"] | None:
        """Return the exact share of each tile in ``weight @ embedding``, or None where there is no such share."""
        return None

    def stream(self, weight: Float[Tensor, "classes width"]) -> "Stream":
        """Return what reads one slide in parts; only of an encoder that ``streams``.

        Parameters
        ----------
        weight
            Of the head, for the evidence.
        """
        raise MismatchError(f"{type(self).__name__} must see all tiles of a slide at once: it reads none in parts.")

    def extra_loss(
        self, encoded: Encoded, real: Bool[Tensor, "slides tiles"], labels: Int[Tensor, " slides"]
    ) -> Float[Tensor, ""]:
        """Return what the encoder itself wants to learn from classes, to be added to the loss of the task.

        Parameters
        ----------
        encoded, real
            What ``forward`` returned, and what it was given.
        labels
            Index of the class of each slide; -1 where unknown.
        """
        return encoded.embedding.new_zeros(())
