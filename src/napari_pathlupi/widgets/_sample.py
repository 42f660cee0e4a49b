"""The demo slide, made once and kept in the user's cache."""

from pathlib import Path
from typing import Any

from napari.utils import progress as progress_bar
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication

from napari_pathlupi.core.progress import Progress, Steps, run
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.layers import LayerTuple, slide_layer
from napari_pathlupi.slides import open_slide
from napari_pathlupi.widgets._work import Work


def demo_slide() -> list[LayerTuple]:
    """Return the demo slide as a layer, made first if need be; the window stays alive meanwhile.

    Raises
    ------
    PathlupiError
        When it cannot be made, in a sentence that napari shows.
    """
    path = run(_steps()) if QApplication.instance() is None else _made_beside_the_window()
    return [slide_layer(open_slide(path))]


def _made_beside_the_window() -> Path:
    outcomes: list[Any] = []
    loop = QEventLoop()
    bar = progress_bar(total=0, desc="Making the demo slide")

    def show(step: Progress) -> None:
        bar.total = step.total
        bar.n = step.done
        bar.refresh()

    def end(outcome: Any) -> None:
        outcomes.append(outcome)
        loop.quit()

    work = Work(_steps, "Making the demo slide")
    work.progressed.connect(show)
    work.ended.connect(end)
    loop.exec()
    bar.close()
    if isinstance(outcomes[0], PathlupiError):
        raise outcomes[0]
    return Path(outcomes[0])


def _steps() -> Steps[Path]:
    from napari_pathlupi.workflows.demo import demo_slide_steps

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return (yield from demo_slide_steps(folder))
