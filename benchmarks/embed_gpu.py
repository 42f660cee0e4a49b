"""Whether reading keeps a GPU busy: the pipeline against the encoder alone, and against what the chip can do.

For each of two networks with random weights: tiles per second of the whole pipeline on a simulated slide, its share of
the speed of the encoder on tiles that lie on the device already, and the share of the chip's peak, which is measured
as the rate of one large product of matrices in the same precision. Floating-point operations per tile are counted by
torch.

`python benchmarks/embed_gpu.py [--quick] [--device cuda]` (``--device cpu`` only shows that it runs)
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from embed_models import let_torchvision_load
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.workflows.device import Device, choose_device
from napari_pathlupi.workflows.embedding.pipeline import EmbedConfig, Pipeline, SlideTiles
from napari_pathlupi.workflows.embedding.tile import tile
from readers import simulated

NETWORKS = {"ViT-L/16": "uni", "ViT-g/14": "h-optimus-0"}
"""A network, and whose encoder has its shape."""
MATRIX = 8192


@dataclass(frozen=True, slots=True)
class Case:
    """How long to measure, and where.

    Parameters
    ----------
    device
        Where the networks run.
    slide
        What is read.
    times
        How often it is read.
    seconds
        How long the encoder alone and the product of matrices run.
    """

    device: Device
    slide: Path
    times: int
    seconds: float


def synchronise(device: Device) -> None:
    if device.name == "cuda":
        torch.cuda.synchronize()


def rate(work: Callable[[], object], case: Case) -> float:
    """Times per second, after one for warming up."""
    work()
    synchronise(case.device)
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < case.seconds:
        work()
        synchronise(case.device)
        count += 1
    return count / (time.perf_counter() - begun)


def with_random_weights(name: str, device: Device) -> Loaded:
    encoder = patch_encoders[name]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        own = encoder.architecture.build().state_dict()
        save_file({tensor.removeprefix("trunk."): value for tensor, value in own.items()}, path)  # as published
        return encoder.load(device.name, path)


def peak_flops(loaded: Loaded, case: Case) -> float:
    """Operations per second of one large product of matrices in the precision of the encoder."""
    side = MATRIX if case.device.name == "cuda" else MATRIX // 16
    a, b = (torch.randn(side, side, device=case.device.name, dtype=getattr(torch, loaded.precision)) for _ in "ab")
    return 2 * side**3 * rate(lambda: a @ b, case)


def flops_per_tile(loaded: Loaded, device: Device) -> float:
    side = loaded.identity.tile_px
    with FlopCounterMode(display=False) as counter:
        loaded.encode(torch.zeros((1, side, side, 3), dtype=torch.uint8, device=device.name))
    return float(counter.get_total_flops())


def pipeline_rate(loaded: Loaded, case: Case) -> float:
    with open_slide(case.slide) as slide:
        grid = tile(slide, loaded.identity.tile_px, loaded.identity.mpp)
    opened = (SlideTiles(open_slide(path), grid) for path in repeat(case.slide, case.times))  # anew: nothing is kept
    pipeline = Pipeline(loaded, case.device, EmbedConfig())
    count = sum(len(batch.indices) for batch in pipeline.batches(opened))
    timing = pipeline.timing(0)
    print(f"  {count:,} tiles; per thread: {timing.as_dict()}")
    return timing.tiles_per_s


def measure(name: str, case: Case) -> dict[str, float]:
    loaded = with_random_weights(name, case.device)
    side, batch = loaded.identity.tile_px, Pipeline(loaded, case.device, EmbedConfig()).batch_size
    tiles = torch.randint(0, 255, (batch, side, side, 3), dtype=torch.uint8, device=case.device.name)
    bare = batch * rate(lambda: loaded.encode(tiles), case)
    whole = pipeline_rate(loaded, case)
    of_peak = whole * flops_per_tile(loaded, case.device) / peak_flops(loaded, case)
    return {
        "tiles_per_s": round(whole, 1),
        "of_bare_encoder": round(whole / bare, 3),
        "of_peak": round(of_peak, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a slide of 8,192 px, read ten times")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    figures: dict[str, object] = {"quick": options.quick, "device": None, **dict.fromkeys(NETWORKS)}
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA device in this machine: nothing was measured.")
    else:
        let_torchvision_load()
        device = choose_device(options.device)
        figures["device"] = device.words
        times = 1 if device.name == "cpu" else 10 if options.quick else 4
        case = Case(device, simulated(8192 if options.quick else 40_000, 0.25), times, 2.0 if options.quick else 10.0)
        for network, name in NETWORKS.items():
            figures[network] = measure(name, case)
            print(f"{network:<10}{figures[network]}", flush=True)
    print("RESULT " + json.dumps(figures))


if __name__ == "__main__":
    main()
