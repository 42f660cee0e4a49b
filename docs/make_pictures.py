"""Make the pictures of the documentation again: ``sh tests/under_a_display.sh python docs/make_pictures.py``."""

import time
from pathlib import Path

import imagecodecs
import matplotlib
import matplotlib.pyplot as plt
import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_pathlupi import load_bundle, open_slide, predict
from napari_pathlupi.core.progress import run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.panel_state import Phase
from napari_pathlupi.simulation.programmes import draw_case
from napari_pathlupi.simulation.rendering import truth
from napari_pathlupi.widgets.demo_window import open_and_predict
from napari_pathlupi.workflows.demo import SLIDE, demo_slide_steps

matplotlib.use("Agg")
IMAGES = Path(__file__).parent / "images"


def wait(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def picture_of_the_panel(slide: Path) -> None:
    """The window after a prediction, with a region drawn."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 1000)
    panel = open_and_predict(viewer, slide)
    while not panel.session.runs or panel.session.facts.phase is not Phase.IDLE:
        wait(0.1)
    wait(2)
    regions = panel.canvas.draw_regions(panel.slide)
    regions.add_polygons(region_of_interest(panel.session.runs[-1].prediction))
    regions.mode = "pan_zoom"
    viewer.reset_view(margin=0.02)
    wait(2)
    shot = viewer.screenshot(canvas_only=False, flash=False)
    (IMAGES / "panel.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(shot[..., :3]), level=9))
    viewer.close()


def region_of_interest(prediction) -> np.ndarray:
    """An octagon about the tile with the most attention, level-0 pixels."""
    grid = prediction.grid
    centre = grid.origins_px0[np.nanargmax(prediction.attention)] + np.array(grid.side_px0) / 2
    angles = np.arange(8) / 8 * 2 * np.pi
    return centre + 420 * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def picture_of_the_attention(path: Path) -> None:
    """The demo slide, where the model looked, and where the tumour was planted."""
    with open_slide(path) as slide:
        overview = slide.thumbnail(1000)
        prediction = predict(slide, load_bundle("demo"))
        height, width = slide.frame.shape_px0
    planted = truth(draw_case(SLIDE, 1))["tumour"]
    heatmap = prediction.grid.raster(prediction.percentile, "percentile")
    rows, columns = heatmap.values.shape
    extent = (0, columns * heatmap.step_px0[1], rows * heatmap.step_px0[0], 0)
    figure, axes = plt.subplots(1, 3, figsize=(15, 3.9), layout="constrained")
    for axis, words in zip(axes, ("simulated slide", "attention (percentile)", "planted tumour"), strict=True):
        axis.imshow(overview, extent=(0, width, height, 0))
        axis.set(title=words, xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    shown = axes[1].imshow(heatmap.values, extent=extent, cmap="inferno", alpha=0.75, vmin=0, vmax=1)
    axes[2].imshow(np.ma.masked_less(planted, 0.5), extent=(0, width, height, 0), cmap="viridis", alpha=0.7, vmin=0)
    figure.colorbar(shown, ax=axes[1], fraction=0.035)
    figure.savefig(IMAGES / "attention.png", dpi=90)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    slide_path = run(demo_slide_steps(cache_folder()))
    picture_of_the_attention(slide_path)
    picture_of_the_panel(slide_path)
