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
from napari_pathlupi.core.regions import AnnotatedRegion
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

_AWAY = "put_away"
"""Marks a layer that is hidden because another slide is in view."""

_ADDED = "added"
"""Where a layer for regions keeps what was added last, as it was then."""

_OUTLINES = ("polygon", "rectangle", "ellipse")
_REGION_COLOUR = (0, 158, 115)


def facts_of(layer: "Layer") -> dict[str, Any]:
    """Return what a layer of ours says of itself; empty for any other layer."""
    told: dict[str, Any] = layer.metadata.get(layers.KEY, {})
    return told


class Canvas:
    """The layers of one viewer, as slides, runs and regions; all it knows stands in the layers themselves.

    Parameters
    ----------
    viewer
        napari's viewer.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self.viewer = viewer

    def slides(self) -> list[Slide]:
        """Return the slides that are open, uppermost first."""
        told = [facts_of(layer) for layer in reversed(self.viewer.layers)]
        return [facts["slide"] for facts in told if facts.get("kind") == "slide"]

    def slide(self, fingerprint: str) -> Slide | None:
        """Return the uppermost open slide of that content."""
        return next((slide for slide in self.slides() if slide.fingerprint == fingerprint), None)

    def chosen(self, at_hand: Slide | None = None) -> Slide | None:
        """Return the slide that the active layer shows or lies on; `at_hand` counts before others of its content."""
        active = self.viewer.layers.selection.active
        facts = facts_of(active) if active is not None else {}
        fingerprint = facts.get("fingerprint", "")
        lies_on = at_hand if at_hand and at_hand.fingerprint == fingerprint else self.slide(fingerprint)
        return facts.get("slide") or lies_on

    def add_slides(self, paths: Sequence[str | Path]) -> None:
        """Open files as slides, whatever napari would do with them; what fails is told in a notification."""
        for made in read([str(path) for path in paths]):
            if made != NOTHING[0]:
                self.viewer.add_layer(napari.layers.Layer.create(*made))

    def show_scale_bar(self) -> None:
        """Show how long a distance on the slide is."""
        self.viewer.canvas.overlays.scale_bar.visible = True

    def bring_up(self, slide: Slide) -> None:
        """Show this slide and what lies on it, and put the others away as they are; a grid of slides stays."""
        if self.viewer.canvas.grid.enabled:
            return
        for layer in self.viewer.layers:
            facts = facts_of(layer)
            if facts.get("fingerprint", slide.fingerprint) != slide.fingerprint:
                _put_away(layer)
            elif facts.pop(_AWAY, False):
                layer.visible = True
        if self.chosen(slide) is not slide:
            own = (layer for layer in self.viewer.layers if facts_of(layer).get("slide") is slide)
            self.viewer.layers.selection.active = next(own)
        size = np.array(slide.frame.shape_px0) * slide.frame.world_per_px0()
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

    def bring_up_run(self, run: Run) -> None:
        """Hide the maps of other runs on its slide: colours that lie over each other can be read by nobody."""
        for layer in self.of_slide(run.fingerprint):
            if facts_of(layer).get("run", run.identity) != run.identity:
                layer.visible = False

    def of_run(self, identity: str) -> list["Layer"]:
        """Return the layers of one run that are still there."""
        return [layer for layer in self.viewer.layers if facts_of(layer).get("run") == identity]

    def add(self, made: layers.LayerTuple, place: int) -> "Layer":
        """Add a layer at a place in the list and leave the selection as it is; hidden where its slide is put away."""
        layer = napari.layers.Layer.create(*made)
        if any(_AWAY in facts_of(slide) for slide in self.of_slide(facts_of(layer)["fingerprint"], "slide")):
            _put_away(layer)
        selection = self.viewer.layers.selection
        chosen = set(selection)
        with selection.events.active.blocker():  # napari chooses what is added; a person may be drawing
            self.viewer.layers.insert(place, layer)
            self.viewer.layers.selection = chosen
        return layer

    def state_mpp(self, fingerprint: str, mpp: float) -> None:
        """State µm per pixel of every open slide of that content, and lay it and what lies on it out anew.

        Its tissue must be looked for again.
        """
        slides = [facts_of(layer)["slide"] for layer in self.of_slide(fingerprint, "slide")]
        for slide in slides:
            slide.state_mpp(mpp)
        for layer in self.of_slide(fingerprint, "tissue"):
            self.viewer.layers.remove(layer)
        for layer in self.of_slide(fingerprint):
            placed = layers.placement(slides[0].mpp, facts_of(layer).get(layers.STEP, (1.0, 1.0)))
            layer.translate = np.array(layer.translate) * placed["scale"] / np.array(layer.scale)
            layer.scale, layer.units = placed["scale"], placed["units"]
        self.viewer.reset_view()

    def stretch_drawn(self, slide: Slide, factor: npt.NDArray[np.float64]) -> None:
        """Let what a person drew in layers of their own stay where it lies on a slide whose scale was restated.

        With another slide open nobody knows on which it lies, and it is left as it is (our choice).
        """
        if {other.fingerprint for other in self.slides()} != {slide.fingerprint}:
            return
        kinds = napari.layers.Shapes, napari.layers.Points, napari.layers.Labels
        for layer in self.viewer.layers:
            if isinstance(layer, kinds) and layer.ndim == 2 and not facts_of(layer):
                layer.translate, layer.scale = np.array(layer.translate) * factor, np.array(layer.scale) * factor
                layer.units = layers.placement(slide.frame.mpp)["units"]

    def draw_regions(self, slide: Slide) -> "Shapes":
        """Return the layer for a person's regions on a slide, made if there is none, ready to draw."""
        layer = self._regions(slide)
        layer.mode = "add_polygon"
        return layer

    def add_regions(self, slide: Slide, regions: Sequence[AnnotatedRegion]) -> None:
        """Add regions to the layer for a person's, selected so that Delete takes them back; holes are filled.

        They come in the place of those added before, but for what was changed since.
        """
        layer = self._regions(slide)
        _take_back(layer)
        before = len(layer.data)
        rings = [shapely.get_coordinates(shapely.get_exterior_ring(region.geometry)) for region in regions]
        layer.add_polygons([ring[:-1, ::-1] for ring in rings])
        features = layer.features.copy()
        features.loc[before:, "name"] = [region.name for region in regions]
        features.loc[before:, "class"] = [region.classification for region in regions]
        layer.features = features
        layer.mode = "select"
        layer.selected_data = set(range(before, len(layer.data)))
        facts_of(layer)[_ADDED] = [_as_it_is(layer, index) for index in layer.selected_data]

    def _regions(self, slide: Slide) -> "Shapes":
        """The layer for a person's regions, chosen, with an outline that can be seen at this zoom."""
        found = self.of_slide(slide.fingerprint, "regions")
        made = layers.regions_layer(slide.fingerprint, slide.frame.mpp)
        layer: Shapes = found[0] if found else self.add(made, len(self.viewer.layers))
        layer.current_edge_width = _EDGE_PX / self.viewer.scene.camera.zoom / float(slide.frame.world_per_px0().mean())
        self.viewer.layers.selection.active = layer
        return layer

    def shapes(self, slide: Slide) -> list["Shapes"]:
        """Return the Shapes layers that are shown and not of another slide."""
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, napari.layers.Shapes)
            and facts_of(layer).get("fingerprint", slide.fingerprint) == slide.fingerprint
        ]

    def strokes(self, slide: Slide | None) -> Iterator[Any]:
        """Yield the emitters that say that the outlines on a slide may have changed."""
        for layer in self.shapes(slide) if slide else ():
            yield from (layer.events.data, layer.events.highlight, layer.events.features, layer.events.visible)

    def outlines(self, slide: Slide | None, *, selected_only: bool = False) -> list[AnnotatedRegion]:
        """Return what is outlined on a slide in any Shapes layer that is shown, in level-0 pixels.

        Parameters
        ----------
        slide
            The slide below; None has no outlines.
        selected_only
            Only the shapes that are selected.
        """
        if slide is None:
            return []
        shown = [layer for layer in self.shapes(slide) if layer.visible]
        return [region for layer in shown for region in _outlines(layer, slide, selected_only)]

    def view(self, slide: Slide) -> Polygon | None:
        """Return the part of the slide that is in view, level-0 pixels; None when it is out of view."""
        camera, (height, width) = self.viewer.scene.camera, self.viewer.canvas.size
        centre = np.array(camera.center[-2:])
        half = np.array([height, width]) / camera.zoom / 2
        (top, left), (bottom, right) = np.array([centre - half, centre + half]) / slide.frame.world_per_px0()
        seen = shapely.box(left, top, right, bottom) & shapely.box(0, 0, *slide.frame.shape_px0[::-1])
        return seen if seen.area else None

    def cell_under_cursor(self, run: Run, slide: Slide) -> tuple[int, int] | None:
        """Return row and column of the grid of a run on a slide under the cursor, None outside it."""
        grid = run.prediction.grid
        # the scale may have been restated since the run
        place_px0 = np.array(self.viewer.cursor.position[-2:]) / slide.frame.world_per_px0()
        row, column = (int(i) for i in np.floor((place_px0 - grid.raster_origin_px0) / grid.stride_px0))
        inside = 0 <= row < grid.raster_shape[0] and 0 <= column < grid.raster_shape[1]
        return (row, column) if inside else None

    def of_slide(self, fingerprint: str, kind: str = "") -> list[Any]:
        """Return the layers of a slide, of one kind or of all."""
        told = [(layer, facts_of(layer)) for layer in self.viewer.layers]
        return [layer for layer, t in told if t.get("fingerprint") == fingerprint and kind in ("", t["kind"])]


def _put_away(layer: "Layer") -> None:
    if layer.visible:
        layer.visible = False
        facts_of(layer)[_AWAY] = True


def _as_it_is(layer: "Shapes", index: int) -> tuple[Any, ...]:
    return layer.data[index].tolist(), *layer.features.iloc[index]


def _take_back(layer: "Shapes") -> None:
    added = facts_of(layer).pop(_ADDED, [])
    layer.selected_data = {index for index in range(len(layer.data)) if added and _as_it_is(layer, index) in added}
    layer.remove_selected()


def _outlines(layer: "Shapes", slide: Slide, selected_only: bool) -> Iterator[AnnotatedRegion]:
    features = layer.features
    for index, (corners, kind) in enumerate(zip(layer.data, layer.shape_type, strict=True)):
        if kind not in _OUTLINES or len(corners) < 3 or (selected_only and index not in layer.selected_data):
            continue
        world = np.array([layer.data_to_world(corner)[-2:] for corner in corners])
        outline = shapely.make_valid(_polygon(world / slide.frame.world_per_px0(), kind))
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
