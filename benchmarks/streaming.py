"""What asking a model about a million tiles costs in memory and time, read in parts from a memory-mapped file.

``python benchmarks/streaming.py [--quick]`` prints a row per slide encoder and, as its last line, RESULT and a JSON
object. Extra MB is the highest resident memory that is no file, less that before the first tile: the features
themselves, mapped from the file, are not counted.
"""

import argparse
import json
import re
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.prediction.stream import StreamConfig, infer_stream

DIM, SETS = 512, 50
ENCODERS = {
    "mean": {},
    "max": {},
    "abmil": {"width": 256, "hidden": 128},
    "pathlupi": {"projection": 128, "tokens": SETS},
}
"""``pathlupi-anchored`` is ``abmil`` with another training: the same network."""


def write_bag(path: Path, tiles: int) -> None:
    """Write random vectors, float16, a part at a time."""
    bag = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(tiles, DIM))
    part = np.random.default_rng(0).normal(size=(10_000, DIM)).astype(np.float16)
    for start in range(0, tiles, len(part)):
        bag[start : start + len(part)] = part[: tiles - start]
    bag.flush()


def measured(encoder: str, path: Path, maps_to: str = "") -> dict[str, float]:
    """Return extra MB, seconds, seconds to the first answer and the number of answers of one slide."""
    torch.manual_seed(0)
    recipe = Recipe(
        patch_encoder=PatchEncoderPart(name="benchmark", version="1", dim=DIM, tile_px=256, mpp=0.5),
        slide_encoder=CataloguePart(name=encoder, settings=ENCODERS[encoder]),
        task=CataloguePart(name="classification", settings={"classes": list("ABCDE")}),
        objective=ObjectivePart(name="reconstruction", targets=tuple(f"set {i}" for i in range(SETS))),
    )
    model, bag = SlideModel(recipe).eval(), np.load(path, mmap_mode="r")
    list(infer_stream(model, bag[:100]))  # what is loaded at the first use is no cost of a slide
    before, begun, answers, first = _resident_mb(), time.perf_counter(), 0, 0.0
    with _Watch() as watch:
        for _ in infer_stream(model, bag, StreamConfig(maps_to=maps_to)):
            answers += 1
            first = first or time.perf_counter() - begun
    return {
        "extra_mb": round(watch.highest_mb - before, 1),
        "seconds": round(time.perf_counter() - begun, 2),
        "first_answer_s": round(first, 2),
        "answers": answers,
    }


def _resident_mb() -> float:
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class _Watch:
    """The highest resident memory while it lasts."""

    def __enter__(self) -> "_Watch":
        self.highest_mb, self._over = _resident_mb(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.003):
            self.highest_mb = max(self.highest_mb, _resident_mb())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def main() -> None:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tiles")
    quick = parser.parse_args().quick
    tiles, result = 100_000 if quick else 1_000_000, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bag.npy")
        write_bag(path, tiles)
        print(f"{tiles:,} tiles of {DIM} numbers, {torch.get_num_threads()} threads")
        print(f"{'slide encoder':14} {'extra MB':>9} {'seconds':>8} {'first answer':>13} {'answers':>8}")
        for encoder in ENCODERS:
            said = result[encoder] = measured(
                encoder, path, str(Path(folder, "maps.npy")) if encoder == "pathlupi" else ""
            )
            print(
                f"{encoder:14} {said['extra_mb']:9.0f} {said['seconds']:8.1f} {said['first_answer_s']:11.2f} s "
                f"{said['answers']:8.0f}",
                flush=True,
            )
    print("RESULT", json.dumps({"quick": quick, "tiles": tiles, **result}))


if __name__ == "__main__":
    main()
