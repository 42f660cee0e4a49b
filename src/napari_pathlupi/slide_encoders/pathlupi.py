"""PathLUPI's slide encoder, as far as its published tensors tell: tokens made from the slide look at its tiles."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._pooling import GatedAttention, shares_of
from napari_pathlupi.slide_encoders._stream import RunningPool, Stream
from napari_pathlupi.slide_encoders._tokens import CrossAttention, GatedFeedForward, SelfAttention


class PathLUPI(SlideEncoder):
    """Tokens made from the slide, one per gene set, that look at its tiles twice and then at each other.

    ::

        E = drop(relu(W x))                                   tiles, projected            wsi_net
        s = sum_n softmax(gated score of E)_n E_n             summary of the slide        gate
        T = Linear(relu(Linear(s)))                           K tokens                    token_generator
        R = CA1(T, LN E); R += FFN1(R)                        first look                  first_look, fed.0
        R = CA2(T + R, LN E); R = LN(R + FFN2(R))             second look                 second_look, fed.1
        a = softmax_n(scores of CA2, mean of its heads)       share of each tile
        F = (a E + R) / 2; F += SA(F); F += FFN3(F)           tokens among themselves     among, fed.2
        z = mean_k F_k, or all of them, narrowed              embedding

    *Known*, from the tensor names of the published checkpoints of "PathLUPI", arXiv 2506.19681: ``wsi_net.0`` of width
    ``path_proj_size``; ``token_generator``, two linear layers about an activation whose last gives ``num_tokens *
    path_proj_size`` numbers; one reconstruction head per gene set in training (the objective ``reconstruction-genes``).
    *Inferred*, from its probable parent G-HANet (IEEE TMI, document 10830530): the two looks with gated
    GELU layers, the scores of the second as the map of each token, and everything from F on; that the tokens are
    generated from a summary of the slide. *Our choice*: the summary by gated attention, the mean of the tokens as
    embedding (G-HANet keeps them apart), all sizes. A published checkpoint does not fit: see `read_published`.

    The shares of a token are the map of its gene set where the objective ties token k to set k.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    projection
        Length of a projected tile and of a token, a multiple of ``heads``.
    tokens
        How many tokens; with ``reconstruction-genes`` one per gene set.
    heads
        Of each attention.
    dropout
        Share of numbers set to zero in training.
    flatten
        Whether the embedding keeps the tokens apart, each narrowed to half its length, or is their mean.
    """

    streams: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        projection: int = 64,
        tokens: int = 50,
        heads: int = 4,
        dropout: float = 0.25,
        flatten: bool = False,
    ) -> None:
        super().__init__()
        self.token_shape = tokens, projection
        self.width = tokens * (projection // 2) if flatten else projection
        self.wsi_net = nn.Sequential(nn.Linear(dim, projection), nn.ReLU(), nn.Dropout(dropout))
        self.gate = GatedAttention(projection, projection // 2)
        self.token_generator = nn.Sequential(
            nn.Linear(projection, projection), nn.ReLU(), nn.Linear(projection, tokens * projection)
        )
        self.tile_norm, self.token_norm = nn.LayerNorm(projection), nn.LayerNorm(projection)
        self.first_look, self.second_look = CrossAttention(projection, heads), CrossAttention(projection, heads)
        self.fed = nn.ModuleList(GatedFeedForward(projection, dropout) for _ in range(3))
        self.among = SelfAttention(projection, heads)
        narrowed = nn.Linear(projection, projection // 2), nn.LayerNorm(projection // 2), nn.ReLU(), nn.Dropout(dropout)
        self.narrow = nn.Sequential(*narrowed) if flatten else None

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        tiles = self.wsi_net(features)  # s n p
        summary = (shares_of(self.gate(tiles), real[:, None]) @ tiles)[:, 0]
        generated, normed = self.generate(summary), self.tile_norm(tiles)
        first = self.after_first(self.first_look(generated, normed, real)[0])
        taken, scores = self.second_look(generated + first, normed, real)
        shares = shares_of(scores, real[:, None])  # s k n
        anchored = self.after_second(taken)
        return self.finish(anchored, shares @ tiles, shares)

    def generate(self, summary: Float[Tensor, "slides part"]) -> Float[Tensor, "slides tokens part"]:
        """Return the tokens of a slide."""
        tokens: Tensor = self.token_generator(summary)
        return tokens.view(-1, *self.token_shape)

    def after_first(self, taken: Float[Tensor, "slides tokens part"]) -> Float[Tensor, "slides tokens part"]:
        """Return the tokens after their first look."""
        looked: Tensor = taken + self.fed[0](taken)
        return looked

    def after_second(self, taken: Float[Tensor, "slides tokens part"]) -> Float[Tensor, "slides tokens part"]:
        """Return the tokens after their second look: those that are anchored to genes."""
        looked: Tensor = self.token_norm(taken + self.fed[1](taken))
        return looked

    def finish(
        self,
        anchored: Float[Tensor, "slides tokens part"],
        pooled: Float[Tensor, "slides tokens part"],
        shares: Float[Tensor, "slides tokens tiles"] | None,
    ) -> Encoded:
        """Return the encoded slides, from the anchored tokens and what each pooled of the tiles."""
        tokens = (anchored + pooled) / 2
        tokens = tokens + self.among(tokens)
        tokens = tokens + self.fed[2](tokens)
        embedding = tokens.mean(dim=1) if self.narrow is None else self.narrow(tokens).flatten(1)
        return Encoded(embedding, None if shares is None else shares.mean(dim=1), shares, anchored)

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _TokenParts(self)


class _TokenParts(Stream):
    """One pass for the summary and one for each look; evidence would take a backward pass, and is not told."""

    passes: ClassVar[int] = 3

    def __init__(self, encoder: PathLUPI) -> None:
        self._encoder = encoder
        self._looks = encoder.first_look, encoder.second_look
        self._summary, self._seen, self._maps = RunningPool(), (RunningPool(), RunningPool()), RunningPool()
        self._asked = torch.zeros(0)

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        tiles = self._encoder.wsi_net(features)[None]
        if not self.done:
            self._summary.add(self._encoder.gate(tiles)[0], tiles[0])
            return
        scores, values = self._scores(tiles, self.done - 1)
        self._seen[self.done - 1].add(scores, values)
        if self.done == 2:
            self._maps.add(scores.mean(dim=0), tiles[0])

    def turn(self) -> None:
        encoder = self._encoder
        if not self.done:
            self._generated = encoder.generate(self._summary.mean.to(encoder.tile_norm.weight))
            self._asked = self._looks[0].asked(self._generated)[0]
        elif self.done == 1:
            first = encoder.after_first(self._taken(0))
            self._asked = self._looks[1].asked(self._generated + first)[0]
        super().turn()

    def encoded(self) -> Encoded:
        pooled = self._maps.mean.to(self._asked)[None]
        return self._encoder.finish(self._encoder.after_second(self._taken(1)), pooled, None)

    def look(self, features: Float[Tensor, "tiles dim"]) -> Float[Tensor, "tokens tiles"]:
        scores, _ = self._scores(self._encoder.wsi_net(features)[None], 1)
        return self._maps.shares(scores.mean(dim=0))

    def _scores(self, tiles: Tensor, look: int) -> tuple[Tensor, Tensor]:
        """Scores (heads, tokens, tiles) and values (heads, tiles, part) of a look."""
        keys, values = self._looks[look].offered(self._encoder.tile_norm(tiles))
        return self._asked @ keys[0].mT, values[0]

    def _taken(self, look: int) -> Tensor:
        return self._looks[look].taken(self._seen[look].mean.to(self._asked)[None])


ENCODER = PathLUPI
