"""How fast a slide is painted, beside what else could be handed to napari.

Shows one simulated slide in a real napari window as our layer, as plain zarr arrays and as plain `da.from_zarr` arrays
of the same file, each in a process of its own, and jumps about in it: from the jump to the first frame that shows the
new place. First visits find every cache empty; revisits do not. Then it pans and measures the gaps between turns of
the event loop, beside those of a pyramid that lies in memory; and it compares peak memory with that of the same window
showing an image in memory, the image itself not counted. Needs a display:
`sh tests/under_a_display.sh python benchmarks/viewer.py [--quick]`.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
import zarr
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication

from napari_pathlupi import open_slide
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.layers import slide_layer
from napari_pathlupi.simulation.slide_writer import SlideLayout, write_slide_steps
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._resample import halve
from responsiveness import PAN_MS, big_slide, gaps_while_panning, wait

ATLAS_PX, MPP = 8000, 0.25
"""Side of what is rendered and then repeated; the walk and the image in memory stay inside the first copy."""
ZOOMS = (1, 4, 16)
"""Level-0 pixels per pixel of the screen."""
BOUND_BYTES = 128 * 1024**2
"""What our cache of tiles may hold here."""


def repeated_slide(side_px: int) -> Path:
    """A square slide at 0.25 µm/px that repeats a simulated one, made once."""
    path = cache_folder() / f"benchmark-repeated-{side_px}.svs"
    if not path.exists():
        with open_slide(big_slide(ATLAS_PX)) as slide:
            atlas = slide.read_level(0, (0, 0), (ATLAS_PX, ATLAS_PX))

        def render(origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
            rows, columns = (np.arange(o, o + n) % ATLAS_PX for o, n in zip(origin, shape, strict=True))
            return atlas[rows][:, columns]

        layout = SlideLayout((side_px, side_px), MPP, quality=80)
        run(write_slide_steps(path, render, layout, CancelFlag()))
    return path


def shown(kind: str, path: Path) -> tuple[Any, dict[str, Any]]:
    """The data and the options of a layer, of one of the KINDS."""
    options = {"scale": (MPP, MPP), "units": ("um", "um"), "rgb": True, "multiscale": True, "contrast_limits": (0, 255)}
    if kind == "ours":
        TILES.limit_bytes = BOUND_BYTES
        return slide_layer(open_slide(path))[:2]
    group = zarr.open(tifffile.TiffFile(path).aszarr(series=0), mode="r")
    levels = [group[name] for name in sorted(group.array_keys(), key=int)]
    if kind == "memory":
        levels = [np.asarray(levels[0][:ATLAS_PX, :ATLAS_PX])]
        while max(levels[-1].shape) > 1024:
            levels.append(halve(levels[-1]))
    if kind == "dask":
        import dask.array as da

        levels = [da.from_zarr(level) for level in levels]
    return levels, options


def forget() -> None:
    """Empty every cache of decoded pixels."""
    from napari.utils._dask_utils import _DASK_CACHE

    _DASK_CACHE.cache.clear()
    TILES.clear()


class Window:
    """A napari window that shows one layer and knows when it has settled."""

    def __init__(self, kind: str, path: Path) -> None:
        data, options = shown(kind, path)
        with Path("/proc/self/clear_refs").open("w") as peak:
            peak.write("5")  # proc(5): resets the peak of the resident set
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1500, 1000)
        self.app = QApplication.instance()
        canvas = next(found[0] for top in self.app.topLevelWidgets() if (found := top.findChildren(QOpenGLWidget)))
        self.loads: list[float] = []
        self.frames: list[float] = []
        canvas.frameSwapped.connect(lambda: self.frames.append(time.perf_counter()))
        self.app.processEvents()
        start = time.perf_counter()
        self.layer = self.viewer.add_image(data, **options)
        self.layer.events.set_data.connect(lambda: self.loads.append(time.perf_counter()))
        self.settle(start)
        self.first_s = self.frames[-1] - start

    def settle(self, start: float, idle_s: float = 0.06) -> float:
        """Seconds from a start to the first frame that shows all that was loaded, once nothing more comes."""
        while True:
            self.app.processEvents()
            now = time.perf_counter()
            loaded = max(start, self.loads[-1] if self.loads else start)
            frame = next((f for f in self.frames if f > loaded), None)
            last = max([start, *self.loads[-1:], *self.frames[-1:]])
            if frame is not None and self.layer.loaded and now - last > idle_s:
                return frame - start
            if now - start > 60:
                raise SystemExit("the window did not settle within 60 s")
            time.sleep(0.0005)

    def jump(self, place_um: tuple[float, float], zoom: float) -> float:
        """Milliseconds from a change of the view to its first whole frame."""
        self.app.processEvents()
        self.loads.clear()
        self.frames.clear()
        start = time.perf_counter()
        self.viewer.scene.camera.zoom = zoom
        self.viewer.scene.camera.center = place_um
        return 1000 * self.settle(start)


def places(side_px: int, count: int) -> list[tuple[float, float]]:
    """(y, x) in µm, at random but the same for every kind."""
    draws = np.random.default_rng(3).uniform(0.1, 0.9, (count, 2)) * side_px * MPP
    return [(float(y), float(x)) for y, x in draws]


def walk(seconds: float) -> Iterator[tuple[float, float, float]]:
    """Centres and zooms of a walk at 1,600 screen px a second, at each of the two finest zooms."""
    steps = int(seconds * 1000 / PAN_MS)
    for step in range(steps):
        zoom, turn = (1, step) if step < steps // 2 else (2, step - steps // 2)
        way = 64.0 * zoom * turn % 9000
        x = 1500 + (way if way < 4500 else 9000 - way)
        yield (1500 + 20.0 * turn) * MPP, x * MPP, 1 / (zoom * MPP)


def serve(kind: str, path: Path) -> None:
    """Show one kind of layer and do what is asked on standard input, a line each, until it ends."""
    window = Window(kind, path)
    held = sum(level.nbytes for level in window.layer.data) if kind == "memory" else 0
    print(json.dumps(window.first_s), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["cold"]:
            forget()
        if "seconds" in order:
            done: Any = gaps_while_panning(window.app, window.viewer, walk(order["seconds"]), lambda: True).tolist()
            wait(window.app, lambda: window.layer.loaded, 60)
        else:
            done = window.jump((order["y"], order["x"]), order["zoom"])
        print(json.dumps(done), flush=True)
    window.viewer.close()
    print(json.dumps((peak_bytes() - held) / 1e6), flush=True)


def peak_bytes() -> int:
    """The largest resident set since it was reset, Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Case:
    """One kind of layer in a process of its own, and what was measured of it."""

    def __init__(self, kind: str, later: bool, side_px: int, settings: Path) -> None:
        self.name = f"{kind}, {'async' if later else 'sync'}"
        self.side_px = ATLAS_PX if kind == "memory" else side_px
        napari_is = {"NAPARI_ASYNC": str(int(later)), "NAPARI_CONFIG": str(settings / f"{self.name}.yaml")}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", kind, "--side", str(side_px)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | napari_is,  # the user's own settings stay as they are
        )
        self.first_s = self._answer()
        self.first_visits: dict[int, list[float]] = {zoom: [] for zoom in ZOOMS}
        self.revisits: dict[int, list[float]] = {zoom: [] for zoom in ZOOMS}
        self.gaps: list[float] = []
        self.peak_mb = 0.0

    def jump(self, pixels: int, number: int, cold: bool) -> float:
        """Milliseconds of one jump, at ``pixels`` level-0 pixels per pixel of the screen."""
        y, x = places(self.side_px, number + 1)[number]
        return self._ask({"y": y, "x": x, "zoom": 1 / (pixels * MPP), "cold": cold})

    def pan(self, seconds: float) -> None:
        """Pan, and keep the gaps."""
        self.gaps += self._ask({"seconds": seconds, "cold": True})

    def end(self) -> None:
        """Close the window; now the peak is known."""
        self._process.stdin.close()
        self.peak_mb = self._answer()
        self._process.wait(60)

    def _ask(self, order: dict[str, Any]) -> Any:
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        while line := self._process.stdout.readline():
            with contextlib.suppress(json.JSONDecodeError):  # what napari may print
                return json.loads(line)
        raise SystemExit(f"the window of {self.name} ended")


def measure(cases: list[Case], jumps: int, revisited: int, pans: int) -> None:
    """Take turns at every jump and every walk, so that whatever else the machine does meets all alike."""
    for pixels in ZOOMS:
        for number in range(jumps):
            for case in cases:
                case.first_visits[pixels].append(case.jump(pixels, number, True))
        for number in range(revisited + jumps):
            for case in cases:
                took = case.jump(pixels, number % revisited, False)
                if number >= revisited:
                    case.revisits[pixels].append(took)
    for _ in range(pans):
        for case in cases:
            case.pan(2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an 8,000 px slide, fewer jumps, no dask, no async")
    parser.add_argument("--serve", choices=("ours", "zarr", "dask", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, repeated_slide(chosen.side))
        return
    # the places that are revisited are so few that their tiles fit into the bound
    side, jumps, revisited, pans = (8000, 5, 2, 1) if chosen.quick else (40000, 40, 8, 5)
    repeated_slide(side)
    kinds = ("ours", "zarr", "memory") if chosen.quick else ("ours", "zarr", "dask", "memory")
    with tempfile.TemporaryDirectory() as settings:
        cases = [
            Case(kind, later, side, Path(settings))
            for later in ((False,) if chosen.quick else (False, True))
            for kind in kinds
        ]
        measure(cases, jumps, revisited, pans)
        for case in cases:
            case.end()
    report(cases, chosen.quick, side)


def report(cases: list[Case], quick: bool, side: int) -> None:
    def middles(visits: dict[int, list[float]]) -> str:
        return " ".join(f"{np.median(visits[zoom]):6.0f}" for zoom in ZOOMS)

    def tail(case: Case) -> float:
        return float(np.percentile(case.gaps, 95))

    print(f"{side} px slide; median settled jump in ms at 1, 4 and 16 level-0 px per pixel of the screen")
    heads = f"{'first visits':>21}{'revisits':>21}{'gap p95':>9}{'gap max':>9}{'peak MB':>9}"
    print(f"{'':<14}{'first frame s':>14}{heads}")
    for case in cases:
        jumps = f"{middles(case.first_visits):>21}{middles(case.revisits):>21}"
        print(
            f"{case.name:<14}{case.first_s:>14.2f}{jumps}{tail(case):>9.1f}{max(case.gaps):>9.1f}{case.peak_mb:>9.0f}"
        )
    ours, plain, memory = (next(c for c in cases if c.name == f"{kind}, sync") for kind in ("ours", "zarr", "memory"))
    jump = float(np.median(ours.first_visits[1]))
    figures = {
        "quick": quick,
        "jump_ms": round(jump, 1),
        "jump_vs_zarr": round(jump / float(np.median(plain.first_visits[1])), 3),
        "revisit_ms": round(float(np.median(ours.revisits[1])), 1),
        "peak_over_empty_mb": round(ours.peak_mb - memory.peak_mb, 1),
        "gap_p95_vs_memory": round(tail(ours) / tail(memory), 2),
        "gap_max_ms": round(max(ours.gaps), 1),
    }
    print("RESULT " + json.dumps(figures))


if __name__ == "__main__":
    main()
