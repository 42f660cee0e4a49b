"""The one place that makes, finds and changes layers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.layers
import numpy as np
import numpy.typing as npt
import shapely
from shapely import Polygon

from napari_pathlupi import layers
from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.runs import Run
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._reader import NOTHING, read

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Shapes

PLAIN_IMAGE_AT_LEAST_PX = 50_000_000
"""An image without a pyramid above this size should have been opened as a slide (our choice)."""

_EDGE_PX = 3
"""Width of an outline on the screen at the zoom at which it is drawn: napari's outlines grow with the zoom."""

_OUTLINES = ("polygon", "rectangle", "ellipse")
_REGION_COLOUR = (0, 158, 115)


def facts_of(layer: "Layer") -> dict[str, Any]:
    """Return what a layer of ours says of itself; empty for any other layer."""
    told: dict[str, Any] = layer.metadata.get(layers.KEY, {})
    return told


class Canvas:
    """The layers of one viewer, as slides, runs and regions.

    Parameters
    ----------
    viewer
        napari's viewer.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self.viewer = viewer
        self._put_away: dict[str, list[Layer]] = {}
        self._latest: Run | None = None
        self._coming: list[str] = []

    def slides(self) -> list[Slide]:
        """Return the slides that are open, uppermost first."""
        told = [facts_of(layer) for layer in reversed(self.viewer.layers)]
        return [facts["slide"] for facts in told if facts.get("kind") == "slide"]

    def chosen(self) -> Slide | None:
        """Return the slide that the active layer shows or lies on."""
        active = self.viewer.layers.selection.active
        wanted = facts_of(active).get("fingerprint") if active is not None else None
        return next((slide for slide in self.slides() if slide.fingerprint == wanted), None)

    def add_slides(self, paths: Sequence[str | Path]) -> None:
        """Open files as slides, whatever napari would do with them; what fails is told in a notification."""
        for made in read([str(path) for path in paths]):
            if made != NOTHING[0]:
                self._add(made)
                self.viewer.canvas.overlays.scale_bar.visible = True

    def bring_up(self, slide: Slide) -> None:
        """Show this slide and what lies on it, and put the others away as they are; a grid of slides stays."""
        if self.viewer.canvas.grid.enabled:
            return
        for layer in self.viewer.layers:
            other = facts_of(layer).get("fingerprint", slide.fingerprint)
            if other != slide.fingerprint and layer.visible:
                self._put_away.setdefault(other, []).append(layer)
                layer.visible = False
        for layer in self._put_away.pop(slide.fingerprint, []):
            layer.visible = True
        size = np.array(slide.frame.shape_px0) * _um_per_px0(slide)
        self.viewer.scene.camera.center = tuple(size / 2)
        self.viewer.scene.camera.zoom = 0.95 * float(np.min(np.array(self.viewer.canvas.size) / size))

    def plain_image(self) -> "Image | None":
        """Return the active image when it is large, from a file and without a pyramid."""
        layer = self.viewer.layers.selection.active
        if not isinstance(layer, napari.layers.Image) or layer.multiscale or facts_of(layer):
            return None
        large = layer.data.shape[0] * layer.data.shape[1] >= PLAIN_IMAGE_AT_LEAST_PX if layer.data.ndim >= 2 else False
        return layer if large and layer.source.path else None

    def reopen_plain_image(self) -> None:
        """Open the file of the large plain image as a slide in its place."""
        image, before = self.plain_image(), len(self.slides())
        if image is not None:
            self.add_slides([image.source.path])
            if len(self.slides()) > before:
                self.viewer.layers.remove(image)

    def of_run(self, identity: str) -> list["Layer"]:
        """Return the layers of one run that are still there."""
        return [layer for layer in self.viewer.layers if facts_of(layer).get("run") == identity]

    def show(self, run: Run) -> None:
        """Begin to show a run: `add_next` adds one thing after the other, since napari takes long for each."""
        self._latest = run
        self._coming += ["attention", "colour bar", "subtypes"]

    def add_next(self) -> bool:
        """Add the next thing of the run that is being shown; False when there is none, or its slide was closed."""
        run = self._latest
        if run is None or not self._coming or not self._of_slide(run.prediction.provenance.fingerprint, "slide"):
            self._coming.clear()
            return False
        kind = self._coming.pop(0)
        if kind == "attention":
            self._add_attention(run)
        elif kind == "colour bar":
            for layer in self.of_run(run.identity)[-1:]:
                layer.colorbar.visible = True
        elif kind == "subtypes" and (made := layers.subtype_layer(run.prediction, run.identity)) is not None:
            self._add_below(run, made)
        return True

    def show_tissue(self, slide: Slide, mask: TissueMask) -> None:
        """Add what was taken for tissue above its slide, unless it is there."""
        below = self._of_slide(slide.fingerprint, "slide")
        if below and not self._of_slide(slide.fingerprint, "tissue"):
            self._insert(
                self.viewer.layers.index(below[0]) + 1, layers.tissue_layer(mask, slide.fingerprint, slide.mpp)
            )

    def _add_attention(self, run: Run) -> None:
        before = self.viewer.layers.selection.active
        self._add(layers.attention_layer(run.prediction, run.identity))
        for layer in self._of_slide(run.prediction.provenance.fingerprint, "regions"):
            self.viewer.layers.move(self.viewer.layers.index(layer), len(self.viewer.layers))
        if isinstance(before, napari.layers.Shapes):
            self.viewer.layers.selection.active = before  # a person may be drawing

    def _add_below(self, run: Run, made: layers.LayerTuple) -> None:
        """Add a layer under those of the run, and leave the selection as it is."""
        places = [self.viewer.layers.index(layer) for layer in self.of_run(run.identity)]
        self._insert(min(places, default=len(self.viewer.layers)), made)

    def _insert(self, place: int, made: layers.LayerTuple) -> None:
        chosen = set(self.viewer.layers.selection)
        self.viewer.layers.insert(place, napari.layers.Layer.create(*made))
        self.viewer.layers.selection = chosen

    def grow(self, run: Run) -> None:
        """Bring the layers of a run up to date with what has been read."""
        self._latest = run
        for layer in self.of_run(run.identity):
            if facts_of(layer)["kind"] == "attention":
                layer.data[...] = layers.attention_raster(run.prediction).values
            else:
                layer.data[...] = layers.subtype_raster(run.prediction)
                layer.features = layers.subtype_features(run.prediction)
            layer.refresh(extent=False)

    def place(self, fingerprint: str, mpp: Mpp) -> None:
        """Put the slide and what lies on it where a newly stated scale says; its tissue must be looked for again."""
        for layer in self._of_slide(fingerprint, "tissue"):
            self.viewer.layers.remove(layer)
        for slide in self._of_slide(fingerprint, "slide"):
            ratio = np.array([mpp.y, mpp.x]) / np.array(slide.scale)
            for layer in [other for other in self.viewer.layers if facts_of(other).get("fingerprint") == fingerprint]:
                layer.scale, layer.translate = np.array(layer.scale) * ratio, np.array(layer.translate) * ratio
                layer.units = layers.placement(mpp)["units"]
        self.viewer.reset_view()

    def draw_regions(self, slide: Slide) -> "Shapes":
        """Return the layer for a person's regions on a slide, made if there is none, ready to draw."""
        found = self._of_slide(slide.fingerprint, "regions")
        layer = found[0] if found else self._add(layers.regions_layer(slide.fingerprint, slide.frame.mpp))
        layer.current_edge_width = _EDGE_PX / self.viewer.scene.camera.zoom / float(_um_per_px0(slide).mean())
        self.viewer.layers.selection.active = layer
        layer.mode = "add_polygon"
        return layer

    def shapes(self, slide: Slide) -> list["Shapes"]:
        """Return the Shapes layers that are shown and not of another slide."""
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, napari.layers.Shapes)
            and facts_of(layer).get("fingerprint", slide.fingerprint) == slide.fingerprint
        ]

    def outlines(self, slide: Slide, *, selected_only: bool = False) -> list[AnnotatedRegion]:
        """Return what is outlined on a slide in any Shapes layer that is shown, in level-0 pixels.

        Parameters
        ----------
        slide
            The slide below.
        selected_only
            Only the shapes that are selected.
        """
        shown = [layer for layer in self.shapes(slide) if layer.visible]
        return [region for layer in shown for region in _outlines(layer, slide, selected_only)]

    def view(self, slide: Slide) -> Polygon | None:
        """Return the part of the slide that is in view, level-0 pixels; None when it is out of view."""
        camera, (height, width) = self.viewer.scene.camera, self.viewer.canvas.size
        centre = np.array(camera.center[-2:])
        half = np.array([height, width]) / camera.zoom / 2
        (top, left), (bottom, right) = np.array([centre - half, centre + half]) / _um_per_px0(slide)
        seen = shapely.box(left, top, right, bottom) & shapely.box(0, 0, *slide.frame.shape_px0[::-1])
        return seen if seen.area else None

    def cell_under_cursor(self, run: Run) -> tuple[int, int] | None:
        """Return row and column of the grid under the cursor, None outside it."""
        grid = run.prediction.grid
        step_um = np.array(grid.stride_px0) * (grid.slide_mpp.y, grid.slide_mpp.x)
        row, column = (int(i) for i in np.floor(np.array(self.viewer.cursor.position[-2:]) / step_um))
        inside = 0 <= row < grid.raster_shape[0] and 0 <= column < grid.raster_shape[1]
        return (row, column) if inside else None

    def _add(self, made: layers.LayerTuple) -> Any:
        return self.viewer.add_layer(napari.layers.Layer.create(*made))

    def _of_slide(self, fingerprint: str, kind: str) -> list[Any]:
        told = [(layer, facts_of(layer)) for layer in self.viewer.layers]
        return [layer for layer, t in told if t.get("kind") == kind and t.get("fingerprint") == fingerprint]


def _um_per_px0(slide: Slide) -> npt.NDArray[np.float64]:
    """World units per level-0 pixel: µm, or pixels while the scale is unknown."""
    return np.array([slide.frame.mpp.y, slide.frame.mpp.x]) if slide.frame.mpp else np.ones(2)


def _outlines(layer: "Shapes", slide: Slide, selected_only: bool) -> Iterator[AnnotatedRegion]:
    features = layer.features
    for index, (corners, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True)):
        if kind not in _OUTLINES or (selected_only and index not in layer.selected_data):
            continue
        world = np.array([layer.data_to_world(corner)[-2:] for corner in corners])
        outline = shapely.make_valid(_polygon(world / _um_per_px0(slide), kind))
        for part in shapely.get_parts(outline):
            if isinstance(part, Polygon) and part.area:
                name = str(features["name"].iloc[index]) if "name" in features else ""
                words = str(features["class"].iloc[index]) if "class" in features else layer.name
                yield AnnotatedRegion(part, name, words, _REGION_COLOUR)


def _polygon(corners_px0: npt.NDArray[np.float64], kind: str) -> Polygon:
    if kind == "ellipse":
        centre = corners_px0.mean(axis=0)
        down, across = (corners_px0[1] - corners_px0[0]) / 2, (corners_px0[3] - corners_px0[0]) / 2
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
        corners_px0 = centre + np.cos(angle) * down + np.sin(angle) * across
    return Polygon(corners_px0[:, ::-1])
