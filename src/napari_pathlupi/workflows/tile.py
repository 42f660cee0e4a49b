"""Where on a slide the model will look."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.errors import MismatchError, NoTissueError, UnsuitableSlideError
from napari_pathlupi.export._tissue import read_tissue
from napari_pathlupi.slides import Slide
from napari_pathlupi.tissue.otsu import TissueConfig, find_tissue, is_dark

OVERVIEW_MPP = 8.0
"""µm per pixel at which tissue is told from glass, whatever the size of the slide (our choice)."""
MOST_ENLARGEMENT = 1.5
"""How much coarser than the encoder's pixels those of the slide may be (our choice)."""


@dataclass(frozen=True, slots=True)
class TileConfig:
    """How a slide is cut into tiles.

    Parameters
    ----------
    min_coverage
        Share of a tile that must be tissue, 0 to 1.
    """

    min_coverage: float = 0.5


def find_tissue_on(slide: Slide, config: TissueConfig | None = None) -> TissueMask:
    """Return which parts of a slide are tissue.

    Raises
    ------
    MppUnknownError
        When nobody knows the size of a pixel.
    UnsuitableSlideError
        When the background is dark, as in fluorescence.
    NoTissueError
        When there is nothing but glass, pen and the like; it carries the mask.
    """
    scale = OVERVIEW_MPP / slide.mpp.mean
    overview = slide.overview(scale)
    if is_dark(overview):
        raise UnsuitableSlideError(
            f"{slide.path.name} looks like fluorescence (dark background): these models read brightfield H&E only."
        )
    return _must_hold_tissue(find_tissue(overview, (scale, scale), OVERVIEW_MPP, config or TissueConfig()))


def read_tissue_of(slide: Slide, path: Path) -> TissueMask:
    """Return the tissue of a slide as outlined in a GeoJSON file of ours, of QuPath or of TRIDENT.

    Parameters
    ----------
    slide
        The slide.
    path
        The file, or a folder of files that are called after their slides.

    Raises
    ------
    MppUnknownError
        When nobody knows the size of a pixel.
    TableError
        When the file cannot be read or holds no area.
    NoTissueError
        When none of its areas lies on the slide.
    """
    file = path / f"{Path(slide.path.name).stem}.geojson" if path.is_dir() else path
    scale = OVERVIEW_MPP / slide.mpp.mean
    areas = read_tissue(file, slide.frame)
    mask = TissueMask.within(areas, slide.frame.shape_px0, (scale, scale), f"read from {file.name}")
    if not mask.tissue.any():
        raise NoTissueError(f"None of the {len(areas)} areas in {file.name} lies on {slide.path.name}.", mask)
    return mask


def _must_hold_tissue(mask: TissueMask) -> TissueMask:
    if not mask.tissue.any():
        raise NoTissueError(
            f"No tissue was found ({mask.words}). Paint some in the layer Tissue or give --tissue, or check the µm per "
            "pixel.",
            mask,
        )
    return mask


def tile(
    slide: Slide,
    tile_px: int,
    mpp: float,
    config: TileConfig | None = None,
    regions: Sequence[BaseGeometry] = (),
    mask: TissueMask | None = None,
) -> TileGrid:
    """Return the tiles of a slide that hold enough tissue.

    Parameters
    ----------
    slide
        The slide; its µm per pixel must be known.
    tile_px, mpp
        Side of a tile in pixels and µm per pixel, as the patch encoder sees it.
    config
        How much tissue a tile needs.
    regions
        Polygons in level-0 pixels; none means the whole slide.
    mask
        Where tissue is, when that is known already.

    Raises
    ------
    MismatchError
        When the slide's pixels are much coarser than the encoder's.
    NoTissueError
        When no tile holds enough tissue.
    """
    config = config or TileConfig()
    _must_be_fine_enough(slide, mpp)
    mask = _must_hold_tissue(mask) if mask else find_tissue_on(slide)
    grid = TileGrid.over(mask, slide.frame.shape_px0, slide.mpp, tile_px, mpp, config.min_coverage)
    if regions:
        grid = grid.within(regions, slide.frame.shape_px0, config.min_coverage)
    if not len(grid):
        where = "in the chosen regions" if regions else "on this slide"
        raise NoTissueError(
            f"No tile of {tile_px * mpp:.0f} µm {where} is at least {100 * config.min_coverage:.0f} % tissue: "
            "choose a larger region or lower the share of tissue that a tile needs.",
            mask,
        )
    return grid


def _must_be_fine_enough(slide: Slide, mpp: float) -> None:
    if slide.mpp.mean > MOST_ENLARGEMENT * mpp:
        raise MismatchError(
            f"The model reads {mpp:g} µm/px; this slide stops at {slide.mpp.mean:.3g}. Its tiles would be enlarged "
            f"{slide.mpp.mean / mpp:.1f} times: prediction is off."
        )
