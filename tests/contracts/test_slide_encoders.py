"""What holds for every slide encoder, whoever wrote it."""

import json

import pytest
import torch

from napari_pathlupi.catalogue import slide_encoders
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.slide_encoders._encoder import SlideEncoder

DIM, TILES = 12, 9


@pytest.fixture(params=list(slide_encoders))
def encoder(request: pytest.FixtureRequest) -> SlideEncoder:
    torch.manual_seed(0)
    return slide_encoders[request.param](DIM).eval()


def bags(slides: int, tiles: int = TILES) -> torch.Tensor:
    return torch.randn(slides, tiles, DIM, generator=torch.Generator().manual_seed(1))


def all_real(features: torch.Tensor) -> torch.Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


def test_gives_an_embedding_of_the_width_it_declares(encoder):
    features = bags(3)
    assert encoder(features, all_real(features)).embedding.shape == (3, encoder.width)


def test_padding_changes_nothing(encoder):
    features = bags(2)
    plain = encoder(features, all_real(features))
    padded = torch.cat([features, torch.full((2, 5, DIM), 1e3)], dim=1)
    real = torch.arange(TILES + 5).expand(2, -1) < TILES
    with_padding = encoder(padded, real)
    torch.testing.assert_close(with_padding.embedding, plain.embedding)
    if encoder.gives_attention:
        torch.testing.assert_close(with_padding.attention[:, :TILES], plain.attention)
        assert (with_padding.attention[:, TILES:] == 0).all()


def test_the_company_in_a_batch_changes_nothing(encoder):
    features = bags(3)
    together = encoder(features, all_real(features)).embedding
    alone = torch.cat([encoder(bag[None], all_real(bag[None])).embedding for bag in features])
    torch.testing.assert_close(together, alone)


def test_the_order_of_the_tiles_changes_nothing_where_it_says_so(encoder):
    if not encoder.order_free:
        pytest.skip("declares that order matters")
    features = bags(2)
    order = torch.randperm(TILES, generator=torch.Generator().manual_seed(2))
    plain, shuffled = (encoder(f, all_real(f)) for f in (features, features[:, order]))
    torch.testing.assert_close(shuffled.embedding, plain.embedding)
    if encoder.gives_attention:
        torch.testing.assert_close(shuffled.attention, plain.attention[:, order])


def test_one_tile_is_enough(encoder):
    features = bags(2, tiles=1)
    encoded = encoder(features, all_real(features))
    assert encoded.embedding.isfinite().all()
    if encoder.gives_attention:
        torch.testing.assert_close(encoded.attention, torch.ones(2, 1))


def test_attention_is_a_share_or_there_is_none(encoder):
    features = bags(4)
    attention = encoder(features, all_real(features)).attention
    assert (attention is not None) == encoder.gives_attention
    if attention is not None:
        assert (attention >= 0).all()
        torch.testing.assert_close(attention.sum(dim=1), torch.ones(4))


def test_the_heads_have_the_attention_as_their_mean_and_tokens_the_shape_it_declares(encoder):
    features = bags(3)
    encoded = encoder(features, all_real(features))
    if encoded.heads is not None:
        torch.testing.assert_close(encoded.heads.mean(dim=1), encoded.attention)
        torch.testing.assert_close(encoded.heads.sum(dim=2), torch.ones(encoded.heads.shape[:2]))
    assert encoder.token_shape == ((0, 0) if encoded.tokens is None else encoded.tokens.shape[1:])


@pytest.mark.parametrize("extreme", ["huge", "tiny", "constant", "alike"])
def test_an_extreme_bag_gives_numbers(encoder, extreme):
    features = {
        "huge": 1e6 * bags(1, 40),
        "tiny": 1e-20 * bags(1, 40),
        "constant": torch.zeros(1, 40, DIM),
        "alike": bags(1, 1).expand(-1, 40, -1),
    }[extreme]
    encoded = encoder(features, all_real(features))
    assert encoded.embedding.isfinite().all()
    assert encoded.attention is None or encoded.attention.isfinite().all()


def test_a_hundred_thousand_tiles_give_numbers(encoder):
    features = bags(1, 100_000)
    with torch.no_grad():
        encoded = encoder(features, all_real(features))
    assert encoded.embedding.isfinite().all()
    if encoder.gives_attention:
        torch.testing.assert_close(encoded.attention.sum(dim=1), torch.ones(1), rtol=1e-3, atol=1e-3)


def test_slides_without_a_label_teach_it_nothing_more(encoder):
    features = bags(3)
    encoded = encoder(features, all_real(features))
    assert encoder.extra_loss(encoded, all_real(features), torch.full((3,), -1)) == 0


def test_every_parameter_learns(encoder):
    features = bags(4).requires_grad_()
    encoded = encoder(features, all_real(features))
    extra = encoder.extra_loss(encoded, all_real(features), torch.tensor([0, 1, 1, -1]))
    direction = torch.randn(encoded.embedding.shape, generator=torch.Generator().manual_seed(3))
    ((encoded.embedding * direction).sum() + extra).backward()
    silent = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


def test_it_learns_in_mixed_precision(encoder):
    features, real = bags(4), torch.arange(TILES).expand(4, -1) < torch.tensor([[TILES], [5], [TILES], [3]])
    with torch.autocast("cpu", torch.bfloat16):
        encoded = encoder(features, real)
        loss = encoded.embedding.float().square().sum()
        loss = loss + encoder.extra_loss(encoded, real, torch.tensor([0, 1, 1, -1]))
    assert loss.isfinite()
    if any(True for _ in encoder.parameters()):
        loss.backward()


def test_double_precision_agrees_with_single(encoder):
    features = bags(3)
    single = encoder(features, all_real(features)).embedding
    double = encoder.double()(features.double(), all_real(features)).embedding
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


def test_evidence_is_exact_where_there_is_any(encoder):
    features = bags(1)
    weight = torch.randn(3, encoder.width, generator=torch.Generator().manual_seed(4))
    evidence = encoder.evidence(features[0], weight)
    if evidence is not None:
        assert evidence.shape == (TILES, 3)
        logits = weight @ encoder(features, all_real(features)).embedding[0]
        torch.testing.assert_close(evidence.sum(dim=0), logits, rtol=1e-5, atol=1e-5)


def test_it_reads_a_slide_in_parts_or_says_that_it_does_not(encoder):
    weight = torch.randn(3, encoder.width, generator=torch.Generator().manual_seed(4))
    features = bags(1)
    if not encoder.streams:
        with pytest.raises(MismatchError, match="at once"):
            encoder.stream(weight)
        return
    with torch.no_grad():
        stream, whole = encoder.stream(weight), encoder(features, all_real(features))
        for _ in range(stream.passes):
            for part in features[0].split(4):
                stream.add(part)
            stream.turn()
        torch.testing.assert_close(stream.encoded().embedding, whole.embedding, rtol=1e-6, atol=1e-6)
        if stream.attention() is not None:
            torch.testing.assert_close(stream.attention(), whole.attention[0], rtol=1e-6, atol=1e-6)
        elif encoder.gives_attention:
            looked = torch.cat([stream.look(part) for part in features[0].split(4)], dim=1)
            torch.testing.assert_close(looked, whole.heads[0], rtol=1e-6, atol=1e-6)


def test_dropout_acts_in_training_only(encoder):
    features = bags(2)
    once, again = (encoder(features, all_real(features)).embedding for _ in range(2))
    assert torch.equal(once, again)


def test_its_settings_are_json_values(encoder):
    defaults = type(encoder).__init__.__kwdefaults__ or {}
    positional = type(encoder).__init__.__defaults__ or ()
    json.dumps([defaults, positional])
