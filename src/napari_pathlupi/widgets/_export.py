"""What there is to export, gathered in the window's thread and written in another."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari_pathlupi.runs import Run, export, export_regions
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._viewer import Canvas


def exporter(canvas: Canvas, slide: Slide | None, run: Run | None, folder: Path) -> Callable[[], list[Path]]:
    """Return a call that writes a run, or else only the regions of a slide, to a folder and returns the files."""
    below = canvas.slide(run.fingerprint) if run else slide
    outlines = canvas.outlines(below)
    if run is not None:
        return partial(export, run, folder, outlines)
    return partial(export_regions, below.path.name, below.frame, folder, outlines) if below else list
