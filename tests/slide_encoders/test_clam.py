"""What CLAM learns of tiles."""

import pytest
import torch

from napari_pathlupi.slide_encoders.clam_mb import ClamMB
from napari_pathlupi.slide_encoders.clam_sb import ClamSB


@pytest.mark.parametrize("network", [ClamSB, ClamMB])
def test_the_classifier_of_a_class_learns_which_tiles_are_typical_of_it(network):
    torch.manual_seed(0)
    encoder = network(6, outputs=3, dropout=0.0)
    features, real = torch.randn(4, 40, 6), torch.ones(4, 40, dtype=torch.bool)
    labels = torch.tensor([0, 1, 2, 0])
    optimiser = torch.optim.Adam(encoder.instances.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        losses.append(encoder.extra_loss(encoder(features, real), real, labels))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("network", [ClamSB, ClamMB])
def test_padding_is_no_tile_of_any_class(network):
    torch.manual_seed(0)
    encoder = network(6, outputs=3).eval()
    features, real = torch.randn(2, 40, 6), torch.ones(2, 40, dtype=torch.bool)
    padded = torch.cat([features, torch.full((2, 9, 6), 50.0)], dim=1)
    few = torch.arange(49).expand(2, -1) < 40
    labels = torch.tensor([0, 2])
    plain = encoder.extra_loss(encoder(features, real), real, labels)
    torch.testing.assert_close(encoder.extra_loss(encoder(padded, few), few, labels), plain)


def test_the_loss_of_tiles_is_as_the_paper_has_it():
    torch.manual_seed(0)
    encoder = ClamMB(6, outputs=3, sampled=4).eval()
    features, real = torch.randn(1, 40, 6), torch.ones(1, 40, dtype=torch.bool)
    encoded = encoder(features, real)
    losses = []
    for kind in range(3):
        order = encoded.heads[0, kind].argsort(descending=True)
        chosen = torch.cat([order[:4], order[-4:]]) if kind == 1 else order[:4]
        said = encoder.instances(encoded.tiles[0, chosen])[:, 2 * kind : 2 * kind + 2]
        wanted = torch.tensor([1] * 4 + [0] * 4 if kind == 1 else [0] * 4)
        losses.append(torch.nn.functional.cross_entropy(said, wanted))
    torch.testing.assert_close(encoder.extra_loss(encoded, real, torch.tensor([1])), 3 / 7 * sum(losses) / 3)


def test_a_slide_of_one_tile_has_no_tiles_to_tell_apart():
    encoder, real = ClamSB(6), torch.ones(1, 1, dtype=torch.bool)
    assert encoder.extra_loss(encoder(torch.randn(1, 1, 6), real), real, torch.tensor([1])) == 0
