"""Tiles of one slide to vectors, in memory."""

from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, run
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import Cancelled, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import Device, choose_device
from napari_pathlupi.workflows.embedding.pipeline import EmbedConfig, Pipeline, SlideTiles

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import Loaded

__all__ = ["EmbedConfig", "embed", "embed_steps", "load_encoder"]


def load_encoder(encoder: "str | Loaded", device: Device) -> "Loaded":
    """Return a patch encoder of the catalogue on a device; one that is loaded already is returned as it is."""
    if not isinstance(encoder, str):
        return encoder
    loaded: Loaded = patch_encoders[encoder].load(device.name)
    return loaded


def embed_steps(
    slide: Slide,
    grid: TileGrid,
    encoder: "str | Loaded",
    config: EmbedConfig | None = None,
    cancel: CancelFlag | None = None,
) -> Steps[FeatureBag]:
    """Yield progress and return the tiles of a slide as vectors.

    Raises
    ------
    Cancelled
        When asked to stop: half a bag is no bag.
    SlideError
        When a tile cannot be decoded.
    """
    config = config or EmbedConfig()
    device = choose_device(config.device)
    loaded = load_encoder(encoder, device)
    pipeline = Pipeline(loaded, device, config)
    features = np.empty((len(grid), loaded.identity.dim), np.float32)
    done = 0
    for batch in pipeline.batches([SlideTiles(slide, grid)]):
        if batch.failed:
            raise SlideError(f"{slide.path.name}: {batch.failed} tiles cannot be decoded: copy the file again.")
        features[batch.indices] = batch.features
        done += len(batch.indices)
        yield Progress("Reading", done, len(grid), message=batch.message, timing=pipeline.timing(len(grid) - done))
        if cancel:
            raise Cancelled(f"stopped after {done} of {len(grid)} tiles of {slide.path.name}")
    return FeatureBag(features, grid, loaded.identity, slide.fingerprint)


def embed(slide: Slide, grid: TileGrid, encoder: "str | Loaded", config: EmbedConfig | None = None) -> FeatureBag:
    """Return the tiles of a slide as vectors: `embed_steps` without the steps."""
    return run(embed_steps(slide, grid, encoder, config))
