"""Where on a slide the model will look."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isclose
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.lattice import Lattice, snapped, trident_lattice
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.errors import MismatchError, NoTissueError, SettingsError, SlideError, UnsuitableSlideError
from napari_pathlupi.export._tissue import read_tissue
from napari_pathlupi.slides import Slide
from napari_pathlupi.tissue import focus
from napari_pathlupi.tissue._density import Picture
from napari_pathlupi.tissue.otsu import TissueConfig, find_tissue, is_dark
from napari_pathlupi.workflows.embedding.pipeline import EmbedConfig

OVERVIEW_MPP = 8.0
"""µm per pixel at which tissue is told from glass, whatever the size of the slide (our choice)."""
MOST_ENLARGEMENT = 1.5
"""How much coarser than the encoder's pixels those of the slide may be (our choice)."""
MOST_OVERLAP = 0.9
"""Share of a side that tiles may have in common: a hundred tiles where one lay (our choice)."""


@dataclass(frozen=True, slots=True)
class TileConfig:
    """How a slide is cut into tiles.

    Parameters
    ----------
    min_coverage, overlap, snap, compat
        As of `TiledConfig`.
    order
        "rows" from left to right and down, or "stored": those in one stored tile one after another.
    tile_um
        Side of a tile in µm, instead of µm per pixel; 0 for none.
    """

    min_coverage: float = 0.5
    overlap: float = 0.0
    snap: bool = False
    compat: str = ""
    order: str = "rows"
    tile_um: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.min_coverage <= 1 and 0 <= self.overlap <= MOST_OVERLAP and self.tile_um >= 0):
            raise SettingsError(
                f"{self.min_coverage:g} of a tile cannot be tissue, or tiles overlap by {self.overlap:g}: give a share "
                f"between 0 and 1, and one between 0 and {MOST_OVERLAP:g}."
            )
        if self.compat not in ("", "trident") or self.order not in ("rows", "stored"):
            raise SettingsError(f"compat is trident or nothing, order rows or stored: {self.compat!r}, {self.order!r}.")
        if self.snap and (self.compat or self.overlap):
            raise SettingsError(
                "tiles that lie on the file's own overlap as little as those: choose snap or the other."
            )

    def mpp_of(self, tile_px: int, mpp: float | None) -> float:
        """Return µm per pixel of a tile that is stated in either way.

        Raises
        ------
        SettingsError
            When it is stated in neither, or in both and differently.
        """
        stated = self.tile_um / tile_px or mpp
        if not stated or (mpp and not isclose(mpp, stated, rel_tol=1e-6)):
            raise SettingsError(
                f"a tile of {tile_px} px needs µm per pixel or a side in µm, not {mpp} and {self.tile_um:g}."
            )
        return stated


@dataclass(frozen=True, slots=True)
class TiledConfig(EmbedConfig):
    """How a slide is cut into tiles, and how they are encoded.

    Parameters
    ----------
    min_coverage
        Share of a tile that must be tissue, 0 to 1.
    overlap
        Share of a tile's side that neighbours have in common, 0 to 0.9.
    snap
        Lay each tile on whole stored tiles of the file, where that leaves little in between: fewer are decoded.
    compat
        "trident" puts tiles where TRIDENT does, its rounded magnification included.
    """

    min_coverage: float = 0.5
    overlap: float = 0.0
    snap: bool = False
    compat: str = ""

    def __post_init__(self) -> None:
        EmbedConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        _ = self.tiles

    @property
    def tiles(self) -> TileConfig:
        """How the slide is cut; SettingsError where that cannot be."""
        return TileConfig(self.min_coverage, self.overlap, self.snap, self.compat)


def find_tissue_on(slide: Slide, config: TissueConfig | None = None) -> TissueMask:
    """Return which parts of a slide are tissue.

    Blur is looked for on slides from disk that are at least as fine as 1 µm per pixel, and nowhere else: an address
    would be asked for many small pieces.

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
    config = config or TissueConfig()
    mask = find_tissue(overview, (scale, scale), OVERVIEW_MPP, config)
    if config.focus_windows and isinstance(slide.path, Path) and slide.mpp.mean <= focus.MPP:
        mask = focus.mark_blur(mask, OVERVIEW_MPP, partial(_focus_window, slide), config.focus_windows)
    return _must_hold_tissue(mask)


def _focus_window(slide: Slide, origin_px0: tuple[float, float]) -> Picture | None:
    scale = focus.MPP / slide.mpp.mean
    with suppress(SlideError):
        return slide.read_scaled(origin_px0, (focus.WINDOW_PX, focus.WINDOW_PX), (scale, scale))
    return None


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
    mpp: float | None,
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
        Side of a tile in pixels and µm per pixel, as the patch encoder sees it; None where the config has its µm.
    config, regions
        How the slide is cut, and the polygons to stay in, level-0 pixels; none means the whole slide.
    mask
        Where tissue is, when that is known already.

    Raises
    ------
    SettingsError, MismatchError, NoTissueError
        When the config asks for what cannot be, the slide is too coarse, or no tile holds enough tissue.
    """
    config = config or TileConfig()
    mpp = config.mpp_of(tile_px, mpp)
    lattice = _lattice(slide, tile_px, mpp, config)
    mask = _must_hold_tissue(mask) if mask else find_tissue_on(slide)
    mpp = lattice.side_px0[1] * slide.mpp.x / tile_px if config.compat else mpp
    grid = TileGrid.on(lattice, mask, slide.mpp, tile_px, mpp, config.min_coverage)
    if regions:
        grid = grid.within(regions, slide.frame.shape_px0, config.min_coverage)
    if not len(grid):
        raise _no_tile(grid, config, "in the chosen regions" if regions else "on this slide", mask)
    return _ordered(slide, grid, config)


def _no_tile(grid: TileGrid, config: TileConfig, where: str, mask: TissueMask) -> NoTissueError:
    return NoTissueError(
        f"No tile of {grid.tile_um:.0f} µm {where} is at least {100 * config.min_coverage:.0f} % tissue: "
        "choose a larger region or lower the share of tissue that a tile needs.",
        mask,
    )


def _lattice(slide: Slide, tile_px: int, mpp: float, config: TileConfig) -> Lattice:
    _must_be_fine_enough(slide, mpp)
    shape = slide.frame.shape_px0
    if config.compat:
        return trident_lattice(shape, slide.mpp, tile_px, mpp, round(config.overlap * tile_px))
    side = tile_px * mpp / slide.mpp.y, tile_px * mpp / slide.mpp.x
    stored = slide.stored_tile_px0((side[0] / tile_px, side[1] / tile_px)) if config.snap else None
    if stored:
        return snapped(shape, side, stored)
    return Lattice.even(shape, side, (side[0] * (1 - config.overlap), side[1] * (1 - config.overlap)))


def _ordered(slide: Slide, grid: TileGrid, config: TileConfig) -> TileGrid:
    stored = slide.stored_tile_px0((grid.side_px0[0] / grid.tile_px, grid.side_px0[1] / grid.tile_px))
    return grid.take(grid.by_stored_tile(stored)) if config.order == "stored" and stored else grid


def _must_be_fine_enough(slide: Slide, mpp: float) -> None:
    if slide.mpp.mean > MOST_ENLARGEMENT * mpp:
        raise MismatchError(
            f"The model reads {mpp:g} µm/px; this slide stops at {slide.mpp.mean:.3g}. Its tiles would be enlarged "
            f"{slide.mpp.mean / mpp:.1f} times: prediction is off."
        )
