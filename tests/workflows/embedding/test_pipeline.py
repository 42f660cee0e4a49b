"""Reading and encoding side by side."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from addressed import write_pyramid
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.errors import InferenceError
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.store import CHUNK_TILES
from napari_pathlupi.workflows.device import Device, choose_device, free_a_core
from napari_pathlupi.workflows.embedding.pipeline import EmbedConfig, Pipeline, SlideTiles
from napari_pathlupi.workflows.embedding.tile import tile

PX = 32
IDENTITY = EncoderIdentity("means", "1", 3, PX, 0.5)
CPU = Device("cpu", "CPU", 8, 2, 2)


def means(tiles: torch.Tensor) -> torch.Tensor:
    return tiles.float().mean((1, 2))


def loaded(encode: Callable[[torch.Tensor], torch.Tensor] = means) -> Loaded:
    return Loaded(encode, IDENTITY)


@pytest.fixture(scope="module")
def pink_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 x 25 tiles of tissue, each of a colour of its own, in a margin of glass."""
    rng = np.random.default_rng(0)
    colours = np.full((30, 31, 3), 243, np.uint8)
    colours[3:27, 3:28] = rng.normal((205, 140, 180), 14, (24, 25, 3)).clip(0, 255)
    path = tmp_path_factory.mktemp("pink") / "pink.tif"
    return write_pyramid(path, [colours.repeat(PX, axis=0).repeat(PX, axis=1)], tile=128)


@pytest.fixture
def pink(pink_path: Path):
    with open_slide(pink_path, mpp=0.5) as slide:
        yield slide


def tiles_of(slide: Slide, first: int = 0) -> SlideTiles:
    return SlideTiles(slide, tile(slide, PX, 0.5), first)


def all_features(pipeline: Pipeline, *slides: SlideTiles) -> np.ndarray:
    return np.concatenate([batch.features for batch in pipeline.batches(slides)])


@pytest.mark.parametrize("config", [EmbedConfig(), EmbedConfig(batch_size=1), EmbedConfig(batch_size=7, threads=5)])
def test_every_tile_comes_once_in_order_with_its_own_vector(pink: Slide, config: EmbedConfig) -> None:
    tiles = tiles_of(pink)
    batches = list(Pipeline(loaded(), CPU, config).batches([tiles]))
    assert np.array_equal(np.concatenate([b.indices for b in batches]), np.arange(len(tiles.grid)))
    expected = [pink.read_scaled(tuple(o), (PX, PX), (1, 1)).mean((0, 1)) for o in tiles.grid.origins_px0.tolist()]
    assert np.allclose(np.concatenate([b.features for b in batches]), expected, atol=1e-3)


def test_batches_are_cut_anew_at_each_chunk_so_that_going_on_makes_the_same(pink: Slide) -> None:
    tiles = tiles_of(pink)
    cuts = list(tiles.cuts(48))
    assert (CHUNK_TILES - 16, CHUNK_TILES) in cuts
    for first in (CHUNK_TILES, 48, CHUNK_TILES + 96):
        going_on = SlideTiles(pink, tiles.grid, first)
        assert list(going_on.cuts(48)) == [cut for cut in cuts if cut[0] >= first]
    assert max(stop - start for start, stop in tiles.cuts(1000)) == CHUNK_TILES


def test_two_slides_in_a_row_are_read_without_a_pause(pink_path: Path, pink: Slide) -> None:
    with open_slide(pink_path, mpp=0.5) as second:
        one, two = tiles_of(pink), tiles_of(second)
        two.grid = two.grid.take(np.arange(40))
        seen = [batch.tiles for batch in Pipeline(loaded(), CPU, EmbedConfig()).batches([one, two])]
        assert seen == sorted(seen, key=lambda tiles: tiles is two)
        assert seen.count(two) == 5


def test_the_next_slide_is_read_while_the_last_batch_is_encoded(pink_path: Path, pink: Slide, monkeypatch) -> None:
    with open_slide(pink_path, mpp=0.5) as second:
        one, two = tiles_of(pink), tiles_of(second)
        one.grid = one.grid.take(np.arange(8))
        read, was_read = threading.Event(), []
        original = second.read_scaled
        monkeypatch.setattr(second, "read_scaled", lambda *what: (read.set(), original(*what))[1])

        def encode(tiles: torch.Tensor) -> torch.Tensor:
            was_read.append(read.wait(5))
            return means(tiles)

        all_features(Pipeline(loaded(encode), Device("cpu", "CPU", 8, 1, 2), EmbedConfig()), one, two)
        assert was_read[0]


def test_too_little_memory_halves_the_batch_and_goes_on(pink: Slide) -> None:
    sizes = []

    def encode(tiles: torch.Tensor) -> torch.Tensor:
        sizes.append(len(tiles))
        if len(tiles) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return means(tiles)

    pipeline = Pipeline(loaded(encode), CPU, EmbedConfig())
    batches = list(pipeline.batches([tiles_of(pink)]))
    assert np.array_equal(
        np.concatenate([b.features for b in batches]),
        all_features(Pipeline(loaded(), CPU, EmbedConfig()), tiles_of(pink)),
    )
    assert pipeline.size == 2
    assert sum(size > 2 for size in sizes) <= 4  # two threads at 8 and at 4
    messages = " ".join(batch.message for batch in batches)
    assert "out of memory at 4 tiles a batch; going on with 2." in messages


def test_no_memory_at_all_and_other_failures_are_inference_errors(pink: Slide) -> None:
    def starved(tiles: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    def broken(tiles: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered\nmore")

    with pytest.raises(InferenceError, match="choose the CPU"):
        all_features(Pipeline(loaded(starved), CPU, EmbedConfig()), tiles_of(pink))
    with pytest.raises(InferenceError, match=r"device-side assert triggered$"):
        all_features(Pipeline(loaded(broken), CPU, EmbedConfig()), tiles_of(pink))


def test_the_timings_add_up(pink: Slide) -> None:
    def slow(tiles: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return means(tiles)

    pipeline = Pipeline(loaded(slow), CPU, EmbedConfig(batch_size=16))
    count = len(all_features(pipeline, tiles_of(pink)))
    timing = pipeline.timing(count)
    assert timing.device_s >= 0.01 * count / 16 / 2
    assert 0.5 * timing.elapsed_s < timing.device_s + timing.wait_s <= 1.01 * timing.elapsed_s
    assert 0 < timing.read_s + timing.decode_s <= 1.01 * timing.elapsed_s
    assert timing.tiles_per_s * timing.elapsed_s == pytest.approx(count)
    assert timing.left_s == pytest.approx(timing.elapsed_s, rel=0.05)


def test_slow_reading_shows_as_waiting(pink: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    original = pink.read_scaled
    monkeypatch.setattr(pink, "read_scaled", lambda *what: (time.sleep(0.002), original(*what))[1])
    pipeline = Pipeline(loaded(), CPU, EmbedConfig())
    tiles = tiles_of(pink)
    tiles.grid = tiles.grid.take(np.arange(200))
    all_features(pipeline, tiles)
    timing = pipeline.timing(0)
    assert timing.wait_s > timing.device_s
    assert timing.decode_s > 0.5 * timing.elapsed_s


def test_nothing_runs_any_more_once_the_batches_are_closed(pink: Slide) -> None:
    batches = Pipeline(loaded(), CPU, EmbedConfig()).batches([tiles_of(pink)])
    next(batches)
    batches.close()
    names = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
    assert not names & {"tiles", "encode"}


def test_the_ring_is_all_that_batches_take(pink: Slide) -> None:
    places = set()

    def encode(tiles: torch.Tensor) -> torch.Tensor:
        places.add(tiles.data_ptr())
        return means(tiles)

    all_features(Pipeline(loaded(encode), CPU, EmbedConfig()), tiles_of(pink))
    assert len(places) == CPU.encoders + 2


def test_tiles_of_many_pixels_come_in_smaller_batches() -> None:
    large = EncoderIdentity("large", "1", 3, 2048, 0.5)
    assert Pipeline(Loaded(means, large), Device("cuda", "GPU", 128, 2, 8), EmbedConfig()).batch_size == 4


def test_a_slide_that_was_restated_keeps_the_scale_of_its_grid(pink: Slide) -> None:
    tiles = tiles_of(pink)
    before = all_features(Pipeline(loaded(), CPU, EmbedConfig()), tiles)
    pink.frame = type(pink.frame)(pink.frame.shape_px0, Mpp(0.1, 0.1, "stated by the user"))
    assert np.array_equal(all_features(Pipeline(loaded(), CPU, EmbedConfig()), tiles), before)


def test_beside_a_window_half_of_the_cores_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_pathlupi.workflows import device

    before = torch.get_num_threads()
    monkeypatch.setattr(device, "_beside_a_window", False)
    monkeypatch.setattr(device, "_usual_cores", lambda: 8)
    try:
        assert choose_device("cpu").encoders == 4
        free_a_core()
        assert (choose_device("cpu").encoders, torch.get_num_threads()) == (4, 4)
        monkeypatch.setattr(device, "_usual_cores", lambda: 2)
        assert choose_device("cpu").encoders == 1
    finally:
        torch.set_num_threads(before)


def test_stored_tiles_that_are_read_whole_are_not_kept_and_others_are(tissue_slide: Slide) -> None:
    from napari_pathlupi.slides._cache import TILES

    TILES.clear()
    passing = tissue_slide.passing()
    aligned, between = ((256.0, 256.0), (256, 256), (1.0, 1.0)), ((300.0, 256.0), (256, 256), (1.0, 1.0))
    first = passing.read_scaled(*aligned)
    assert not TILES._tiles
    assert np.array_equal(first, tissue_slide.read_scaled(*aligned))
    assert len(TILES._tiles) == 1
    assert np.array_equal(passing.read_scaled(*between), tissue_slide.read_scaled(*between))
    assert len(TILES._tiles) == 2
