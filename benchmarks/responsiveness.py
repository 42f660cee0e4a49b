"""How smooth the window stays while a prediction runs, and how soon a slide is seen.

Opens a simulated slide in a real napari window, pans over one half of it with nothing else going on and over the other
half during Predict, and prints the gaps between turns of the event loop for both; then the time from opening to the
first settled frame. Needs a display: `sh tests/under_a_display.sh python benchmarks/responsiveness.py [--quick]`.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.panel_state import Phase
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import draw_case
from napari_pathlupi.simulation.rendering import render
from napari_pathlupi.simulation.slide_writer import SlideLayout, write_slide_steps

TURN_MS, PAN_MS = 5, 40
"""The timer that measures the gaps, and how often the view moves: 25 times a second."""


def big_slide(side_px: int) -> Path:
    """A simulated square slide, made once."""
    path = cache_folder() / f"benchmark-{side_px}.svs"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        config = SimulationConfig(cases=1, seed=7, shape_px=(side_px, side_px), pen_share=0.0)
        layout = SlideLayout(config.shape_px, config.mpp, quality=config.jpeg_quality)
        run(write_slide_steps(path, partial(render, draw_case(config, 0)), layout, CancelFlag()))
    return path


def wait(app: QApplication, true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"nothing happened within {seconds} s")
        app.processEvents()
        time.sleep(0.001)


def first_settled_frame(app: QApplication, viewer: Any, panel: Any, path: Path) -> float:
    """Seconds from opening until two frames in a row show the same slide."""
    start, before = time.monotonic(), np.zeros(0)
    panel.open_slides([path])
    while True:
        app.processEvents()
        frame = viewer.screenshot(canvas_only=True, flash=False)
        seen = time.monotonic()
        if len(viewer.layers) and frame[..., :3].std() > 5 and np.array_equal(frame, before):
            return seen - start
        if seen - start > 120:
            raise SystemExit("the slide was not seen within 120 s")
        before = frame


def path_over(half: int, side_um: float, seconds: float) -> Iterator[tuple[float, float, float]]:
    """Centres (y, x) in µm and zooms of a walk over one half of the slide, back and forth at two magnifications."""
    steps = int(seconds * 1000 / PAN_MS)
    for step in range(steps):
        turn = step / steps
        x = side_um * (0.25 + 0.5 * abs(2 * (turn * 3 % 1) - 1))
        y = side_um * (0.15 + 0.30 * turn + 0.40 * half)
        yield y, x, (0.5 if turn < 0.5 else 1.2)


def gaps_while_panning(
    app: QApplication, viewer: Any, walk: Iterator[tuple[float, float, float]], go_on: Callable[[], bool]
) -> np.ndarray:
    """(turns,) milliseconds between turns of the event loop beyond the timer's own interval."""
    turns: list[float] = []
    ticks, pans = QTimer(interval=TURN_MS), QTimer(interval=PAN_MS)
    ticks.timeout.connect(lambda: turns.append(time.perf_counter()))
    over = False

    def pan() -> None:
        nonlocal over
        step = next(walk, None)
        if step is None or not go_on():
            over = True
            return
        viewer.scene.camera.center, viewer.scene.camera.zoom = step[:2], step[2]

    pans.timeout.connect(pan)
    ticks.start()
    pans.start()
    while not over:
        app.processEvents()
        time.sleep(0.0005)
    ticks.stop()
    pans.stop()
    return np.diff(turns) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an 8,000 px slide")
    quick = parser.parse_args().quick
    side = 8000 if quick else 20000
    path = big_slide(side)
    viewer = napari.Viewer(show=True)
    app = QApplication.instance()
    _, panel = viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")
    viewer.window.resize(1500, 1000)
    first = first_settled_frame(app, viewer, panel, path)
    wait(app, lambda: panel.session.plan is not None, 120)
    seconds = 4.0 if quick else 10.0
    alone = gaps_while_panning(app, viewer, path_over(0, side * 0.5, seconds), lambda: True)
    panel.predict()
    running = lambda: panel.session.facts.phase is not Phase.IDLE  # noqa: E731
    wait(app, lambda: (step := panel.session.facts.progress) is not None and step.done > 0, 120)
    during = gaps_while_panning(app, viewer, path_over(1, side * 0.5, seconds), running)
    panel.session.cancel()
    wait(app, lambda: not running(), 60)
    viewer.close()
    report(first, alone, during, quick, side)


def report(first: float, alone: np.ndarray, during: np.ndarray, quick: bool, side: int) -> None:
    def row(name: str, gaps: np.ndarray) -> None:
        print(f"{name:<24} {np.median(gaps):8.1f} {np.percentile(gaps, 95):8.1f} {gaps.max():8.1f} {len(gaps):7d}")

    print(f"gaps between turns of the event loop, ms, {side} px slide")
    print(f"{'':<24} {'median':>8} {'p95':>8} {'max':>8} {'turns':>7}")
    row("panning alone", alone)
    row("panning during Predict", during)
    print(f"opening to first settled frame: {first:.2f} s")
    ratio = float(np.percentile(during, 95) / np.percentile(alone, 95))
    figures = {
        "quick": quick,
        "gap_p95_ratio": round(ratio, 2),
        "gap_max_ms": round(float(during.max()), 1),
        "first_frame_s": round(first, 2),
        "gap_p95_alone_ms": round(float(np.percentile(alone, 95)), 1),
        "gap_max_alone_ms": round(float(alone.max()), 1),
    }
    print("RESULT " + json.dumps(figures))


if __name__ == "__main__":
    main()
