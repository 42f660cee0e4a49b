"""The demo slide, made once and kept in the user's cache."""

from pathlib import Path
from typing import Any

import platformdirs
from napari import current_viewer
from napari.utils import progress as progress_bar
from napari.utils.notifications import show_error, show_info

from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.widgets._viewer import Canvas
from napari_pathlupi.widgets._work import Work


def demo_slide() -> list[tuple[Any, ...]]:
    """Open the demo slide when it is there, made first if need be; nothing waits for it."""
    viewer = current_viewer()
    if viewer is None:
        return []
    bar = progress_bar(total=0, desc="Demo slide")
    canvas = Canvas(viewer)

    def show(step: Progress) -> None:
        bar.total = step.total
        bar.n = step.done
        bar.refresh()

    def done(outcome: Any) -> None:
        bar.close()
        if isinstance(outcome, Path):
            canvas.add_slides([outcome])
        else:
            show_error(str(outcome))

    if not any(cache_folder().glob("*")):
        show_info("The demo slide is being made, once; it opens by itself when it is ready.")
    work = Work(_steps, "Making the demo slide")
    work.progressed.connect(show)
    work.ended.connect(done)
    return []


def cache_folder() -> Path:
    """Return where what can be made again is kept."""
    return Path(platformdirs.user_cache_dir("napari-pathlupi", appauthor=False))


def _steps() -> Steps[Path]:
    from napari_pathlupi.workflows.demo import demo_slide_steps

    cache_folder().mkdir(parents=True, exist_ok=True)
    return (yield from demo_slide_steps(cache_folder()))
