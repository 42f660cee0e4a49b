"""Reading one slide in parts: what is remembered does not grow with the tiles but for a few numbers of each."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from napari_pathlupi.slide_encoders._encoder import Encoded


class Stream(ABC):
    """What a slide encoder remembers of one slide, in evaluation mode.

    Every part of the slide is given to ``add``, in order; `turn` ends a pass over all of them, and ``passes`` passes
    make an answer. With one pass there is an exact answer for the tiles so far at any time.
    """

    passes: ClassVar[int] = 1
    """How often the whole slide must be read before there is an answer."""

    @abstractmethod
    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        """Take in the next part of the slide."""

    done: int = 0
    """How many passes were made."""

    def turn(self) -> None:
        """End a pass."""
        self.done += 1

    @abstractmethod
    def encoded(self) -> Encoded:
        """Return the slide, a batch of one, without its attention."""

    def attention(self) -> Float[Tensor, " tiles"] | None:
        """Return the share of each tile; None without attention, and where `look` tells it in another pass."""
        return None

    def evidence(self) -> Float[Tensor, "tiles classes"] | None:
        """Return the exact share of each tile in each output; None where there is none."""
        return None

    def look(self, features: Float[Tensor, "tiles dim"]) -> Float[Tensor, "heads tiles"] | None:
        """Return the share of each of these tiles in each head, once all passes are made; None without tokens."""
        return None


class Rows:
    """Numbers of each tile, in one block that doubles: small blocks between large ones would tear up the memory."""

    def __init__(self) -> None:
        self._block, self._count = torch.zeros(0), 0

    def add(self, part: Tensor) -> None:
        """Append the (tiles, …) numbers of some tiles."""
        count = self._count + len(part)
        if count > len(self._block):
            grown = part.new_empty(2 * count, *part.shape[1:])
            if self._count:
                grown[: self._count] = self.all
            self._block = grown
        self._block[self._count : count] = part
        self._count = count

    @property
    def all(self) -> Tensor:
        """The (tiles, …) numbers of all tiles so far."""
        return self._block[: self._count]


class RunningPool:
    """Means weighted by a softmax over tiles that come in parts, as exact as over all at once.

    Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018: sums are kept in units of the highest
    score so far. They are float64, on the processor: Apple's GPU has no such numbers.
    """

    def __init__(self) -> None:
        self._top: Tensor | None = None
        self._total = self._sums = torch.zeros(0)

    def add(self, scores: Float[Tensor, "*heads rows tiles"], values: Float[Tensor, "*heads tiles part"]) -> None:
        """Take in the scores and vectors of some tiles."""
        highest = scores.amax(dim=-1)
        top = highest if self._top is None else torch.maximum(self._top, highest)
        shares = (scores - top[..., None]).exp()
        total, sums = precise(shares.sum(dim=-1)), precise(shares @ values)
        if self._top is not None:
            faded = precise((self._top - top).exp())
            total, sums = total + self._total * faded, sums + self._sums * faded[..., None]
        self._top, self._total, self._sums = top, total, sums

    @property
    def mean(self) -> Float64[Tensor, "*heads rows part"]:
        """The weighted mean of the vectors so far."""
        return self._sums / self._total[..., None]

    def shares(self, scores: Float[Tensor, "*heads rows tiles"]) -> Float[Tensor, "*heads rows tiles"]:
        """Return the share of tiles with these scores among all so far."""
        assert self._top is not None
        return (scores - self._top[..., None]).exp() / self._total[..., None].to(scores)


def precise(sums: Tensor) -> Tensor:
    """Return sums over a part of the tiles as float64 on the processor, for those over all of them."""
    return sums.cpu().double()
