"""DSMIL's published weights load, and answer without regard to the order of the tiles."""

import pytest
import torch

from napari_pathlupi.errors import BundleError
from napari_pathlupi.slide_encoders.dsmil import DSMIL, read_published

REAL = torch.ones(1, 30, dtype=torch.bool)


@pytest.mark.parametrize("name", ["dsmil_tcga_aggregator", "dsmil_c16_aggregator", "dsmil_init"])
def test_published_weights_answer_finitely_and_in_any_order(shared_data, name):
    path = shared_data / "weights" / f"{name}.pth"
    network, head = read_published(torch.load(path, weights_only=True, map_location="cpu"))
    features = torch.randn(1, 30, 512, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    plain, shuffled = (network(bag, REAL) for bag in (features, features[:, order]))
    assert plain.embedding.isfinite().all()
    torch.testing.assert_close(shuffled.embedding, plain.embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shuffled.attention, plain.attention[:, order])
    assert (head is None) == (name == "dsmil_init")
    if head is not None:
        assert head(plain.embedding).isfinite().all()


def test_the_published_head_reads_each_class_from_all_sums(shared_data):
    tensors = torch.load(shared_data / "weights/dsmil_tcga_aggregator.pth", weights_only=True, map_location="cpu")
    network, head = read_published(tensors)
    encoded = network(torch.randn(1, 30, 512, generator=torch.Generator().manual_seed(0)), REAL)
    sums = encoded.embedding[:, :1024].view(1, 2, 512)
    convolved = torch.nn.functional.conv1d(sums, tensors["b_classifier.fcc.weight"], tensors["b_classifier.fcc.bias"])
    torch.testing.assert_close(head(encoded.embedding), convolved[..., 0])


def test_other_weights_are_refused_in_a_sentence():
    with pytest.raises(BundleError, match="not the weights of a published DSMIL"):
        read_published({"fc.weight": torch.zeros(2, 2)})


def test_the_tile_with_the_highest_score_of_a_class_has_most_of_its_attention():
    torch.manual_seed(0)
    network = DSMIL(12).eval()
    features = torch.randn(1, 30, 12)
    heads = network(features, REAL).heads[0]
    critical = network.scores(features[0]).argmax(dim=0)
    with torch.no_grad():  # tanh bounds all queries, so what is most alike need not be the tile itself
        own = heads[torch.arange(2), critical]
    assert (own >= heads.mean(dim=1)).all()


def test_the_scores_of_tiles_learn_from_labels_alone():
    torch.manual_seed(0)
    network = DSMIL(12)
    network.extra_loss(network(torch.randn(1, 30, 12), REAL), REAL, torch.tensor([1])).backward()
    assert network.scores.weight.grad.any() and not network.query[0].weight.grad.any()
