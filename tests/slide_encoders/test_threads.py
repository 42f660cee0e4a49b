import pytest
import torch

from napari_pathlupi.slide_encoders.threads import PAPER_DIM, PAPER_HEADS, PAPER_WIDTH, Threads

DIM = 12


def encoder(heads: int, width: int = 8) -> Threads:
    torch.manual_seed(0)
    return Threads(DIM, width, heads).eval()


def bag(tiles: int = 30) -> torch.Tensor:
    return torch.randn(1, tiles, DIM, generator=torch.Generator().manual_seed(1))


def real(features: torch.Tensor) -> torch.Tensor:
    return torch.ones(features.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize(
    ("heads", "paper", "exact"),
    [(1, 5.0, 4_993_024), (2, 11.3, 11_294_720), (4, 19.7, 19_695_616), (6, 28.1, 28_096_512)],
)
def test_has_as_many_parameters_as_the_paper_says(heads, paper, exact):
    with torch.device("meta"):
        count = sum(weight.numel() for weight in Threads(PAPER_DIM, PAPER_WIDTH, heads).parameters())
    assert count == exact
    assert round(count / 1e6, 1) == paper


def test_the_proposed_model_has_two_heads():
    assert PAPER_HEADS == 2


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_agrees_with_the_formula_written_out_tile_by_tile(heads):
    network, features = encoder(heads), bag(4)
    encoded = network(features, real(features))
    x = network.before(features[0])
    x = x if network.expand is None else network.expand(x)
    summed = []
    for m in range(heads):
        part = x[:, 8 * m : 8 * (m + 1)]  # contiguous
        gate = network.gates[m]
        scores = [gate.score((gate.content(tile)).tanh() * gate.gate(tile).sigmoid()) for tile in part]
        shares = torch.stack(scores)[:, 0].exp() / torch.stack(scores).exp().sum()
        torch.testing.assert_close(encoded.heads[0, m], shares)
        summed.append(sum(share * tile for share, tile in zip(shares, part, strict=True)))
    joined = torch.cat(summed)
    torch.testing.assert_close(encoded.embedding[0], joined if network.after is None else network.after(joined))


def test_the_map_is_the_mean_of_the_heads_and_the_heads_differ():
    features = bag()
    encoded = encoder(3)(features, real(features))
    torch.testing.assert_close(encoded.heads.mean(dim=1), encoded.attention)
    assert (encoded.heads[0, 0] - encoded.heads[0, 1]).abs().max() > 1e-4


def test_the_slides_of_a_patient_are_one_bag_in_any_order():
    one, other = bag(5), bag(9) + 1
    network = encoder(2)
    unions = [torch.cat(pair, dim=1) for pair in ((one, other), (other, one))]
    first, second = (network(union, real(union)).embedding for union in unions)
    torch.testing.assert_close(first, second)


def test_a_head_reads_its_own_part_only():
    network, features = encoder(2), bag()
    parts, scores = network.parts(features)
    slopes = torch.autograd.grad(scores[0, 1].sum(), parts)[0]
    assert slopes[:, :, 1].any() and not slopes[:, :, 0].any()


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_slide_read_in_parts_gives_what_the_whole_gives(heads, chunk):
    network, features = encoder(heads), bag(50) * 5
    weight = torch.randn(2, network.width, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        stream, whole = network.stream(weight), network(features, real(features))
        for part in features[0].split(chunk):
            stream.add(part)
        exact = {"rtol": 1e-6, "atol": 1e-6}
        torch.testing.assert_close(stream.encoded().embedding, whole.embedding, **exact)
        torch.testing.assert_close(stream.attention(), whole.attention[0], **exact)
        torch.testing.assert_close(stream.evidence(), network.evidence(features[0], weight), **exact)
        heads_again = torch.cat([stream.look(part) for part in features[0].split(chunk)], dim=1)
        torch.testing.assert_close(heads_again, whole.heads[0], **exact)


def test_the_answer_of_a_part_is_that_of_a_slide_of_only_these_tiles():
    network, features = encoder(2), bag(20)
    with torch.no_grad():
        stream = network.stream(torch.ones(1, network.width))
        for seen, part in enumerate(features[0].split(5), start=1):
            stream.add(part)
            alone = features[:, : 5 * seen]
            torch.testing.assert_close(stream.encoded().embedding, network(alone, real(alone)).embedding)


def test_bfloat16_agrees_with_float32_as_far_as_it_can():
    network, features = encoder(2, width=64), bag(300)
    exact = network(features, real(features))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(features, real(features))
    assert torch.nn.functional.cosine_similarity(rough.embedding.float(), exact.embedding).item() > 0.99
    torch.testing.assert_close(rough.attention.sum(dim=1).float(), torch.ones(1), rtol=1e-3, atol=0)
