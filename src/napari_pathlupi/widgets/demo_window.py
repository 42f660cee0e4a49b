"""The demo in a window: ``python -m napari_pathlupi.widgets.demo_window SLIDE`` opens it and presses Predict."""

import sys
from pathlib import Path

import napari

from napari_pathlupi.widgets.panel import Panel


def open_and_predict(viewer: "napari.Viewer", path: Path) -> Panel:
    """Return the panel of a viewer that shows a slide and predicts on it as soon as it knows how."""
    panel: Panel
    _, panel = viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")
    panel.open_slides([path])

    def press() -> None:
        if panel.session.plan is not None:
            panel.session.changed.disconnect(press)
            panel.predict()

    panel.session.changed.connect(press)
    return panel


if __name__ == "__main__":
    open_and_predict(napari.Viewer(title="napari-pathlupi demo"), Path(sys.argv[1]))
    napari.run()
