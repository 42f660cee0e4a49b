"""What holds for every patch encoder, whoever wrote it."""

import subprocess
import sys

import pytest
import torch

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._encoder import PatchEncoder


@pytest.fixture(params=list(patch_encoders))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def entry(name: str) -> PatchEncoder:
    return patch_encoders[name]


def some_tiles(entry: PatchEncoder, count: int = 3) -> torch.Tensor:
    shape = (count, entry.tile_px, entry.tile_px, 3)
    return torch.randint(60, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_says_what_it_is_and_under_which_licence(name, entry):
    assert isinstance(entry, PatchEncoder)
    assert entry.title and entry.licence and entry.source and entry.version
    identity = entry.identity
    assert (identity.name, identity.dim, identity.tile_px) == (name, entry.dim, entry.tile_px)
    assert entry.mpp == identity.mpp > 0


def test_is_known_by_the_same_identity_once_loaded(entry):
    loaded = entry.load("cpu")
    assert loaded.identity == entry.identity
    assert loaded.precision == "float32"


def test_choosing_it_loads_no_torch(name):
    code = f"""
import sys
from napari_pathlupi.catalogue import patch_encoders
patch_encoders[{name!r}]
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_gives_one_float32_vector_per_tile(entry):
    vectors = entry.load("cpu").encode(some_tiles(entry))
    assert vectors.shape == (3, entry.dim)
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad


@pytest.mark.parametrize("level", [0, 128, 240, 255])
def test_is_finite_on_empty_tiles(entry, level):
    tiles = torch.full((1, entry.tile_px, entry.tile_px, 3), level, dtype=torch.uint8)
    assert entry.load("cpu").encode(tiles).isfinite().all()


def test_is_finite_on_noise(entry):
    assert entry.load("cpu").encode(some_tiles(entry)).isfinite().all()


def test_batching_changes_nothing(entry):
    encode, tiles = entry.load("cpu").encode, some_tiles(entry, 11)
    alone = torch.cat([encode(tile[None]) for tile in tiles])
    torch.testing.assert_close(encode(tiles), alone, rtol=1e-4, atol=1e-4)


def test_the_same_tiles_give_the_same_vectors(entry):
    tiles = some_tiles(entry)
    untouched = tiles.clone()
    torch.testing.assert_close(entry.load("cpu").encode(tiles), entry.load("cpu").encode(tiles.clone()), rtol=0, atol=0)
    assert torch.equal(tiles, untouched)


def test_different_tiles_give_different_vectors(entry):
    first, second, third = entry.load("cpu").encode(some_tiles(entry))
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, third)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_processor_and_gpu_agree(entry):
    tiles = some_tiles(entry, 9)
    on_gpu = entry.load("cuda").encode(tiles.cuda())
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), entry.load("cpu").encode(tiles), rtol=2e-3, atol=2e-3)
