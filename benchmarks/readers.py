"""How much processor time reading takes, ours beside the readers that others use.

Every reader gets the same places of the same simulated slides (made once into the cache folder), in interleaved
rounds, opened anew for each; the figures are medians over the rounds of processor seconds of the process, so work on
other threads counts. Readers that cannot scale halve with Pillow's `reduce`, and at other ratios use our own
`resample_area`. Readers that are not installed are left out: fastslide and cucim-cu12 are never dependencies.

`python benchmarks/readers.py [--quick] [--slide FILE]`; with `--slide` the tissue of one file of your own is read at
twice its µm/px, and nothing is compared with a target.
"""

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from napari_pathlupi import open_slide
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import draw_case
from napari_pathlupi.simulation.rendering import render
from napari_pathlupi.simulation.slide_writer import SlideLayout, write_slide_steps
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._resample import resample_area
from napari_pathlupi.workflows.embedding.tile import tile
from peer_readers import PEERS, Ours, Picture, Reader

Corner = tuple[float, float]

ATLAS_PX, PERIOD_PX = 8192, 7919
"""What is simulated, and how much of it is repeated: a prime, so that no two JPEG tiles of a slide are equal."""
TILE_PX, MPP = 256, 0.5
VIEWPORT_PX = 1080, 1920


def region(reader: Reader, corner: Corner, scale: float) -> Picture:
    """256 px whose pixels are ``scale`` pixels of level 0 large."""
    if isinstance(reader, Ours):
        return reader.slide.read_scaled(corner, (TILE_PX, TILE_PX), (scale, scale))
    first = int(corner[0]), int(corner[1])
    side = int(np.ceil(TILE_PX * scale)) + (scale != round(scale))
    picture = reader.pixels(*first, side, side)
    if scale == 2:
        return np.asarray(Image.fromarray(picture).reduce(2))
    start = corner[0] - first[0], corner[1] - first[1]
    return resample_area(picture, start, (scale, scale), (TILE_PX, TILE_PX))


@cache
def atlas() -> Picture:
    config = SimulationConfig(cases=1, seed=7, shape_px=(ATLAS_PX, ATLAS_PX), mpp=0.25, pen_share=0.0)
    case = draw_case(config, 0)
    strips = [render(case, (top, 0), (256, ATLAS_PX)) for top in range(0, ATLAS_PX, 256)]
    return np.concatenate(strips)[:PERIOD_PX, :PERIOD_PX]


def simulated(side_px: int, mpp: float) -> Path:
    """A square slide of levels 1, 4 and 16, made once: one rendered picture again and again."""
    path = cache_folder() / f"benchmark-readers-{side_px}-{mpp:g}.svs"

    def repeated(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
        rows, columns = (
            np.arange(first, first + count) % PERIOD_PX for first, count in zip(origin, shape, strict=True)
        )
        return atlas()[rows][:, columns]

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        layout = SlideLayout((side_px, side_px), mpp, smallest_px=side_px // 16, quality=80)
        run(write_slide_steps(path, repeated, layout, CancelFlag()))
    return path


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Parameters
    ----------
    name
        What is read.
    path
        The slide.
    work
        Reads it all once.
    count
        How many pieces that are.
    """

    name: str
    path: Path
    work: Callable[[Reader], object]
    count: int


def tissue_corners(path: Path, most: int) -> list[Corner]:
    """Corners of tiles over tissue in reading order around the middle of the slide, none near its edge."""
    with open_slide(path) as slide:
        mpp = 2 * slide.mpp.mean if slide.mpp.mean > 0.26 else MPP
        corners = [(float(y), float(x)) for y, x in tile(slide, TILE_PX, mpp).origins_px0]
        limit = [side - 3 * TILE_PX for side in slide.frame.shape_px0]
    corners = [corner for corner in corners if corner[0] < limit[0] and corner[1] < limit[1]]
    first = max(0, (len(corners) - most) // 2)
    return corners[first : first + most]


def regions(name: str, path: Path, corners: list[Corner], scale: float) -> Case:
    return Case(name, path, lambda reader: read_all(reader, corners, scale), len(corners))


def read_all(reader: Reader, corners: list[Corner], scale: float) -> None:
    """One tile after the other, as an encoder takes them: none is kept."""
    for corner in corners:
        region(reader, corner, scale)


def look_about(reader: Reader, views: list[tuple[int, int]]) -> None:
    """One view after the other, as on a screen: none is kept."""
    for view in views:
        reader.pixels(*view, *VIEWPORT_PX)


def cases(quarter: Path, odd: Path | None, corners: list[Corner]) -> list[Case]:
    """What is measured on a slide whose level 0 is twice as fine as the tiles, and on one a little coarser."""
    shifted = [(y + TILE_PX / 2, x + TILE_PX / 2) for y, x in corners]
    views = [(int(y), int(x)) for y, x in corners[:: max(1, len(corners) // 8)]]
    found = [
        regions("region", quarter, corners, 2.0),
        regions("shifted", quarter, shifted, 2.0),
    ]
    if odd is not None:
        found.append(regions("region_02525", odd, tissue_corners(odd, len(corners)), MPP / 0.2525))
    return [
        *found,
        Case("thumbnail", quarter, lambda reader: reader.thumbnail(), 1),
        Case("viewport", quarter, lambda reader: look_about(reader, views), len(views)),
        Case("metadata", quarter, lambda reader: None, 1),
    ]


def seconds(case: Case, reader: type[Reader]) -> float:
    """Processor seconds per piece, from a freshly opened slide; opening counts only for metadata."""
    TILES.clear()  # it outlives a slide
    start = time.process_time()
    opened = reader(case.path)
    if case.name != "metadata":
        start = time.process_time()
    case.work(opened)
    spent = time.process_time() - start
    opened.close()
    return spent / case.count


def compare(case: Case, readers: dict[str, type[Reader]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, by reader."""
    spent: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, reader in readers.items():
            spent[name].append(seconds(case, reader))
    return spent


def ratio(spent: dict[str, list[float]], peer: str) -> float | None:
    """How many times the processor time of ours a peer takes; the median over rounds."""
    if peer not in spent:
        return None
    return round(float(np.median(np.divide(spent[peer], spent["ours"]))), 2)


def two_threads(path: Path, corners: list[Corner], rounds: int) -> tuple[float, float]:
    """Two threads against one: rate on the clock, and processor time per tile."""
    walls, spent = [], []
    for _ in range(rounds):
        figures = []
        for threads in (1, 2):
            TILES.clear()
            reader = Ours(path)
            region(reader, corners[0], 2.0)
            with ThreadPoolExecutor(threads) as pool:
                parts = np.array_split(np.array(corners), 2 * threads)
                wall, cpu = time.perf_counter(), time.process_time()
                list(pool.map(lambda part, of=reader: [region(of, tuple(corner), 2.0) for corner in part], parts))
                figures.append((time.perf_counter() - wall, time.process_time() - cpu))
            reader.close()
        walls.append(figures[0][0] / figures[1][0])
        spent.append(figures[1][1] / figures[0][1])
    return float(np.median(walls)), float(np.median(spent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="slides of 8,192 px, fewer rounds")
    parser.add_argument("--slide", type=Path, help="measure on this file instead")
    options = parser.parse_args()
    readers: dict[str, type[Reader]] = {"ours": Ours}
    readers |= {name: reader for name, (module, reader) in PEERS.items() if find_spec(module)}
    side, most, rounds = (8192, 90, 3) if options.quick else (40_000, 300, 5)
    quarter = options.slide or simulated(side, 0.25)
    odd = None if options.slide else simulated(side, 0.2525)
    corners = tissue_corners(quarter, most)
    print(f"processor time per piece in ms (times ours), {quarter.name}, median of {rounds} interleaved rounds")
    print(f"{'':<14}" + "".join(f"{name:>18}" for name in readers))
    ratios: dict[str, dict[str, float | None]] = {}
    for case in cases(quarter, odd, corners):
        spent = compare(case, readers, rounds)
        ratios[case.name] = {name: ratio(spent, name) for name in PEERS}
        row = "".join(f"{1e3 * np.median(spent[name]):10.2f} ({ratio(spent, name) or 0:5.2f})" for name in readers)
        print(f"{case.name:<14}{row}", flush=True)
    walls, spent_more = two_threads(quarter, corners, max(5, rounds))
    print(
        f"two threads against one: {walls:.2f} times the rate on the clock at {spent_more:.2f} times the processor time"
    )
    figures = {f"region_vs_{name}": ratios["region"][name] for name in ("openslide", "tiffslide", "cucim", "fastslide")}
    for name in ("shifted", "region_02525", "thumbnail", "viewport"):
        figures[f"{name}_vs_openslide"] = ratios.get(name, {}).get("openslide")
    print("RESULT " + json.dumps({"quick": options.quick, **figures, "threads2_vs_1": round(walls, 2)}))


if __name__ == "__main__":
    main()
