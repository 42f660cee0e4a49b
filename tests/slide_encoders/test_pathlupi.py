"""The network as the published tensors tell it; what no tensor tells is not tested against anything."""

import pytest
import torch

from napari_pathlupi.errors import BundleError
from napari_pathlupi.slide_encoders._published import read_published
from napari_pathlupi.slide_encoders.pathlupi import PathLUPI

REAL = torch.ones(1, 7, dtype=torch.bool)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, 7, 12, generator=torch.Generator().manual_seed(1))


def encoder(**settings) -> PathLUPI:
    torch.manual_seed(0)
    return PathLUPI(12, **{"projection": 16, "tokens": 5} | settings).eval()


def checkpoint() -> dict[str, torch.Tensor]:
    """Three tokens of 16 from tiles of 12, and three gene sets."""
    own = encoder(tokens=3).state_dict()
    known = {name: tensor for name, tensor in own.items() if name.startswith("wsi_net")}
    known |= {f"recon_net.{name}": own[name] for name in own if name.startswith("token_generator")}
    known |= {f"recon_net.sig_reconstruct_net.{i}.4.weight": torch.zeros(size, 16) for i, size in enumerate((4, 9, 2))}
    return known | {"classifier.weight": torch.zeros(4, 48)}


def test_each_token_has_a_map_of_its_own(features):
    heads = encoder()(features, REAL).heads[0]
    assert heads.shape == (5, 7)
    assert (heads[0] - heads[1]).abs().max() > 1e-4


def test_the_tokens_follow_the_slide(features):
    network = encoder()
    other = torch.cat([features[:, :6], features[:, 6:] + 3], dim=1)
    assert (network(features, REAL).tokens - network(other, REAL).tokens).abs().max() > 1e-4


def test_tokens_kept_apart_make_a_longer_embedding(features):
    network = encoder(flatten=True)
    assert network(features, REAL).embedding.shape == (1, network.width) == (1, 5 * 8)


def test_a_published_checkpoint_tells_its_shapes_and_what_is_unverified():
    read = read_published({"state_dict": {f"module.{name}": tensor for name, tensor in checkpoint().items()}})
    assert (read.dim, read.projection, read.tokens, read.classes) == (12, 16, 3, 4)
    assert read.set_sizes == (4, 9, 2)
    assert "Unverified: nobody here has read the published network" in read.words
    assert "classifier.weight" in read.unread


def test_the_tensors_that_fit_have_the_names_and_shapes_of_ours():
    read = read_published(checkpoint())
    ours = encoder(tokens=3).state_dict()
    assert len(read.fitting) == 6
    assert all(ours[name].shape == tensor.shape for name, tensor in read.fitting.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wsi_net.0.weight": torch.zeros(12)}, "no matrix called wsi_net.0.weight"),
        ({"recon_net.token_generator.2.weight": torch.zeros(50, 16)}, "50 numbers"),
        ({"recon_net.token_generator.0.weight": torch.zeros(7, 16)}, "do not fit each other"),
        ({"recon_net.sig_reconstruct_net.7.4.weight": torch.zeros(2, 16)}, r"\[0, 1, 2, 7\]"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_in_a_sentence(change, words):
    with pytest.raises(BundleError, match=words):
        read_published(checkpoint() | change)
