"""Tiles to vectors."""

import numpy as np
import pytest

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, DamagedTileError, InferenceError, NotFoundError, SettingsError, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding.embed import EmbedConfig, embed, embed_steps
from napari_pathlupi.workflows.embedding.tile import tile

ENCODER = "stain-texture"


def test_a_vector_is_that_of_its_own_tile(tissue_slide: Slide) -> None:
    import torch

    grid = tile(tissue_slide, 256, 0.5)
    bag = embed(tissue_slide, grid, ENCODER)
    encode = patch_encoders[ENCODER].load("cpu").encode
    for index in (0, 7, len(grid) - 1):
        y, x = (int(v) for v in grid.origins_px0[index])
        pixels = tissue_slide.read_level(0, (y, x), (256, 256))
        assert np.allclose(encode(torch.from_numpy(pixels[None])).numpy()[0], bag.features[index], atol=1e-4)


@pytest.mark.parametrize("config", [EmbedConfig(batch_size=1), EmbedConfig(batch_size=5, threads=4)])
def test_batches_and_threads_change_nothing(tissue_slide: Slide, config: EmbedConfig) -> None:
    grid = tile(tissue_slide, 256, 0.5)
    assert np.allclose(embed(tissue_slide, grid, ENCODER, config).features, embed(tissue_slide, grid, ENCODER).features)


def test_progress_counts_every_tile(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 256, 0.5)
    seen = [p.done for p in embed_steps(tissue_slide, grid, ENCODER, EmbedConfig(batch_size=5))]
    assert seen == [5, 10, 12]


def test_cancelling_stops_after_the_batch_at_hand(tissue_slide: Slide) -> None:
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(Cancelled, match="after 5 of 12"):
        run(embed_steps(tissue_slide, tile(tissue_slide, 256, 0.5), ENCODER, EmbedConfig(batch_size=5), cancel))


def test_a_tile_that_cannot_be_decoded_is_never_skipped_silently(tissue_slide: Slide, monkeypatch) -> None:
    grid = tile(tissue_slide, 256, 0.5)
    read = tissue_slide.read_scaled

    def fails_once(origin, shape, scale):
        if origin == grid.region(4).origin_px0:
            raise DamagedTileError("tile (1, 5) cannot be decoded")
        return read(origin, shape, scale)

    monkeypatch.setattr(tissue_slide, "read_scaled", fails_once)
    with pytest.raises(SlideError, match="1 tiles cannot be decoded"):
        embed(tissue_slide, grid, ENCODER)


def test_the_device_says_why_it_is_the_cpu() -> None:
    import torch

    device = choose_device("auto")
    assert device.name != "cpu" or "CUDA" in device.words
    if not torch.cuda.is_available():
        with pytest.raises(InferenceError, match="no cuda device"):
            choose_device("cuda")
    with pytest.raises(NotFoundError, match="known: auto"):
        choose_device("gpu")


@pytest.mark.parametrize("wrong", [{"batch_size": -1}, {"threads": -1}])
def test_settings_that_cannot_be_are_told(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="cannot be: give"):
        EmbedConfig(**wrong)


def test_a_scale_restated_while_reading_changes_nothing(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 256, 0.5)
    before = embed(tissue_slide, grid, ENCODER).features
    tissue_slide.state_mpp(0.25)
    assert np.allclose(embed(tissue_slide, grid, ENCODER).features, before)
