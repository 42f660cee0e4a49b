"""What holds for every patch encoder, whoever wrote it; those with weights are given random ones and one block."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.errors import MissingExtraError, SettingsError, WeightsError
from napari_pathlupi.patch_encoders._encoder import ComputedEncoder, Loaded, PatchEncoder, State
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from random_networks import let_torchvision_load, random_weights, shallow

let_torchvision_load()


@pytest.fixture(params=list(patch_encoders))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def entry(name: str) -> PatchEncoder:
    return patch_encoders[name]


@pytest.fixture(params=[name for name, entry in patch_encoders.items() if isinstance(entry, ComputedEncoder)])
def computed(request: pytest.FixtureRequest) -> ComputedEncoder:
    return patch_encoders[request.param]


@cache
def loaded(name: str) -> Loaded:
    entry = patch_encoders[name]
    if isinstance(entry, ComputedEncoder):
        return entry.load("cpu")
    if entry.readiness().state is State.NEEDS_EXTRA:
        pytest.skip(entry.readiness().words)
    with TemporaryDirectory() as folder:
        small = shallow(entry)
        return small.load("cpu", random_weights(small, Path(folder, "random.safetensors")))


def some_tiles(entry: PatchEncoder, count: int) -> torch.Tensor:
    shape = (count, entry.tile_px, entry.tile_px, 3)
    return torch.randint(60, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_says_what_it_is_and_under_which_licence(name, entry):
    assert isinstance(entry, PatchEncoder)
    assert entry.name == name
    assert entry.title and entry.licence and entry.source and entry.version
    assert entry.mpp > 0


def test_is_known_by_the_same_identity_once_loaded(name, entry):
    identity = loaded(name).identity
    assert (identity.name, identity.dim, identity.tile_px) == (name, entry.dim, entry.tile_px)
    assert identity == entry.identity_of(identity.version)
    entry.must_make(identity, "a model")


def test_choosing_any_loads_no_torch():
    code = "import sys; from napari_pathlupi.catalogue import patch_encoders; dict(patch_encoders); "
    code += "[entry.readiness() for entry in patch_encoders.values()]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_two_share_a_name_or_an_alias():
    names = [*patch_encoders, *(alias for entry in patch_encoders.values() for alias in entry.aliases)]
    assert len(names) == len(set(names))
    assert all(patch_encoders[alias].name in patch_encoders for alias in names)


def test_is_ready_or_says_what_is_missing(entry):
    readiness = entry.readiness()
    assert readiness.words
    assert readiness.usable or readiness.address or readiness.state in (State.NEEDS_EXTRA, State.NEEDS_DOWNLOAD)


def test_no_network_is_asked_what_is_missing(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert len({entry.readiness().state for entry in patch_encoders.values()}) > 1


def test_without_weights_it_says_where_to_get_them(entry):
    if isinstance(entry, PretrainedEncoder) and not entry.readiness().usable:
        with pytest.raises((WeightsError, MissingExtraError), match=rf"pathlupi encoders \w+ {entry.name}|pip install"):
            entry.load("cpu")


def test_gives_one_finite_float32_vector_per_tile_whatever_the_batch(name, entry):
    tiles = torch.cat([some_tiles(entry, 1), torch.full((1, entry.tile_px, entry.tile_px, 3), 255, dtype=torch.uint8)])
    untouched = tiles.clone()
    vectors = loaded(name).encode(tiles)
    assert vectors.shape == (2, entry.dim)
    assert vectors.dtype == torch.float32
    assert vectors.isfinite().all()
    assert not vectors.requires_grad
    assert not torch.allclose(*vectors)
    torch.testing.assert_close(loaded(name).encode(tiles[:1]), vectors[:1], rtol=1e-4, atol=1e-4)
    assert torch.equal(tiles, untouched)


@pytest.mark.parametrize("level", [0, 128, 240])
def test_computed_ones_are_finite_on_empty_tiles(computed, level):
    tiles = torch.full((1, computed.tile_px, computed.tile_px, 3), level, dtype=torch.uint8)
    assert computed.load("cpu").encode(tiles).isfinite().all()


def test_computed_ones_do_not_depend_on_the_batch(computed):
    encode, tiles = computed.load("cpu").encode, some_tiles(computed, 11)
    alone = torch.cat([encode(tile[None]) for tile in tiles])
    torch.testing.assert_close(encode(tiles), alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(encode(tiles), computed.load("cpu").encode(tiles), rtol=0, atol=0)


def test_computed_ones_refuse_weights(computed):
    with pytest.raises(SettingsError, match="has no weights"):
        computed.load("cpu", Path("weights.safetensors"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_processor_and_gpu_agree(computed):
    tiles = some_tiles(computed, 9)
    on_gpu = computed.load("cuda").encode(tiles.cuda())
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), computed.load("cpu").encode(tiles), rtol=2e-3, atol=2e-3)
