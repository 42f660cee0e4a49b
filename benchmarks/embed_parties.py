"""One party of `embed.py`, in a process of its own: reads tiles of one slide and encodes them.

Says "imported" when its libraries are loaded, waits for a line, works, and prints what it took as JSON. It imports
only what its party needs, so that it also runs in a virtual environment that knows nothing of this package.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embed_models import INPUT_PX, let_torchvision_load, resnet50
from null_encoder import DIM, SIDE_PX, null_encoder

LOADER_BATCH, LOADER_WORKERS = 32, 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Work = Callable[[], dict[str, float]]


def cpu_s() -> float:
    """Processor seconds of this process and of workers that have ended."""
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime


def timed(work: Callable[[], int]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), cpu_s()
    tiles = work()
    return {"tiles": tiles, "wall_s": time.perf_counter() - wall, "cpu_s": cpu_s() - cpu}


def ours(slide: str, tiles: str, encoder: str, weights: str, engine: str) -> Work:
    """Our pipeline: into a store, as `pathlupi embed` does."""
    import zarr  # noqa: F401  # otherwise imported while the clock runs

    from napari_pathlupi import open_slide
    from napari_pathlupi.catalogue import patch_encoders
    from napari_pathlupi.core.features import EncoderIdentity
    from napari_pathlupi.core.progress import run
    from napari_pathlupi.patch_encoders._encoder import Loaded
    from napari_pathlupi.store import FeatureStore
    from napari_pathlupi.workflows.device import choose_device
    from napari_pathlupi.workflows.embedding.embed_store import Errand, embed_into_store_steps
    from napari_pathlupi.workflows.embedding.engine import choose_engine
    from napari_pathlupi.workflows.embedding.tile import tile

    def loaded() -> Loaded:
        if encoder == "null":
            return Loaded(null_encoder, EncoderIdentity("null", "1", DIM, SIDE_PX, 0.5))
        if weights:
            let_torchvision_load()
        one = patch_encoders[encoder].load("cpu", Path(weights) if weights else None)
        return choose_engine(one, engine, choose_device("cpu"))

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        opened = open_slide(slide)
        grid = tile(opened, SIDE_PX, 0.5)
        prepared_s = time.perf_counter() - begun
        if tiles:
            grid = grid.take(np.load(tiles))
        one = loaded()
        with tempfile.TemporaryDirectory() as folder:
            errand = Errand("slide", lambda: (opened, grid))
            steps = embed_into_store_steps([errand], one, FeatureStore(folder))
            figures = timed(lambda: run(steps)[0].encoded)
        return figures | {"prepare_s": prepared_s}

    return work


def baseline(slide: str, tiles: str, encoder: str, weights: str, engine: str) -> Work:
    """openslide-python, Pillow and torch's DataLoader with two workers."""
    import openslide
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    corners = np.load(tiles)
    network, side = null_encoder, SIDE_PX
    if encoder != "null":
        network, side = resnet50(Path(weights)), INPUT_PX

    class Tiles(Dataset[torch.Tensor]):
        file: Any = None

        def __len__(self) -> int:
            return len(corners)

        def __getitem__(self, index: int) -> torch.Tensor:
            self.file = self.file or openslide.OpenSlide(slide)
            y, x = corners[index].astype(int)
            region = self.file.read_region((int(x), int(y)), 0, (2 * SIDE_PX, 2 * SIDE_PX)).convert("RGB")
            pixels = torch.from_numpy(np.array(region.resize((side, side), Image.Resampling.BILINEAR)))
            if encoder == "null":
                return pixels
            return ((pixels / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)

    def encode_all() -> int:
        with torch.inference_mode():
            loader = DataLoader(Tiles(), LOADER_BATCH, num_workers=LOADER_WORKERS)
            return len(np.concatenate([network(batch).numpy() for batch in loader]))

    return lambda: timed(encode_all)


def lazyslide(slide: str, tiles: str, encoder: str, weights: str, engine: str) -> Work:
    """LazySlide with two workers, on the tiles that it finds itself."""
    let_torchvision_load()
    import lazyslide as zs
    import lazyslide_models  # noqa: F401  # otherwise imported while the clock runs
    from wsidata import open_wsi

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        wsi = open_wsi(slide)
        zs.pp.find_tissues(wsi)
        zs.pp.tile_tissues(wsi, SIDE_PX, mpp=0.5)
        prepared_s = time.perf_counter() - begun
        count = len(wsi.shapes["tiles"])
        extract = partial(
            zs.tl.feature_extraction,
            wsi,
            model=null_encoder,
            transform=np.asarray,
            device="cpu",
            batch_size=LOADER_BATCH,
            num_workers=LOADER_WORKERS,
            pbar=False,
        )
        return timed(lambda: (extract(), count)[1]) | {"prepare_s": prepared_s}

    return work


def main() -> None:
    party, arguments = sys.argv[1], json.loads(sys.argv[2])
    work = {"ours": ours, "baseline": baseline, "lazyslide": lazyslide}[party](**arguments)
    print("imported", flush=True)
    sys.stdin.readline()
    print(json.dumps(work()), flush=True)


if __name__ == "__main__":
    main()
