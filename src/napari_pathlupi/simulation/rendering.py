"""The pixels of a simulated slide, and the truth behind them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from napari_pathlupi.simulation.anatomy import Anatomy, lay_out
from napari_pathlupi.simulation.fields import BLOCK_PX, STEP_PX, Field, at_pixels, cells_of_block, with_halo
from napari_pathlupi.simulation.nuclei import Nuclei, place_nuclei
from napari_pathlupi.simulation.packing import BlockIndex
from napari_pathlupi.simulation.painting import (
    Ground,
    block_count,
    has_tissue,
    paint_ground,
    prepare_ground,
    tissue_cover,
)
from napari_pathlupi.simulation.programmes import PROGRAMMES, Case
from napari_pathlupi.simulation.ring_painting import paint_ring
from napari_pathlupi.simulation.rings import Rings, place_rings
from napari_pathlupi.simulation.stains import Look, Picture, develop, draw_look, pen_ink, stroke_distance_px
from napari_pathlupi.simulation.stamps import draw_nuclei, reach_px


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """One slide before it is painted: about a thirtieth of the size of its pixels."""

    anatomy: Anatomy
    look: Look
    ground: Ground
    rings: Rings
    rings_near: BlockIndex
    nuclei: Nuclei
    nuclei_near: BlockIndex
    reach_px: int
    pen_um: Field | None


@lru_cache(maxsize=2)
def _scene(case: Case) -> _Scene:
    mpp, blocks = case.config.mpp, block_count(case.config.shape_px)
    anatomy, look = lay_out(case), draw_look(case)
    rings = place_rings(case.random(3), anatomy, mpp)
    nuclei = place_nuclei(case.random(4), anatomy, rings, mpp)
    distance = stroke_distance_px(look, anatomy.shape)
    return _Scene(
        anatomy=anatomy,
        look=look,
        ground=prepare_ground(case.random(5), anatomy),
        rings=rings,
        rings_near=BlockIndex.of(rings.centre_px, blocks),
        nuclei=nuclei,
        nuclei_near=BlockIndex.of(np.stack([nuclei.y_px, nuclei.x_px], axis=1).astype(np.float64), blocks),
        reach_px=reach_px(nuclei, mpp),
        pen_um=None if distance is None else with_halo(look.pen_um - distance * np.float32(mpp)),
    )


def render(case: Case, origin_px: tuple[int, int], shape_px: tuple[int, int]) -> Picture:
    """(height, width, 3) RGB of any rectangle of level 0, equal to the same part of any larger one.

    Parameters
    ----------
    case
        Whose slide; the same case always gives the same pixels.
    origin_px, shape_px
        Corner and shape (y, x) of the rectangle, which must lie on the slide.

    Raises
    ------
    ValueError
        When the rectangle is empty or leaves the slide.
    """
    end = origin_px[0] + shape_px[0], origin_px[1] + shape_px[1]
    if min(origin_px) < 0 or min(shape_px) < 1 or end[0] > case.config.shape_px[0] or end[1] > case.config.shape_px[1]:
        raise ValueError(f"{shape_px} px at {origin_px} is not within the slide of {case.config.shape_px} px")
    scene = _scene(case)
    picture = np.empty((*shape_px, 3), dtype=np.uint8)
    for row in range(origin_px[0] // BLOCK_PX, -(-end[0] // BLOCK_PX)):
        for column in range(origin_px[1] // BLOCK_PX, -(-end[1] // BLOCK_PX)):
            painted = _paint(scene, (row, column), case.config.mpp)
            top, left = row * BLOCK_PX, column * BLOCK_PX
            y0, x0 = max(top, origin_px[0]), max(left, origin_px[1])
            y1, x1 = min(top + BLOCK_PX, end[0]), min(left + BLOCK_PX, end[1])
            picture[y0 - origin_px[0] : y1 - origin_px[0], x0 - origin_px[1] : x1 - origin_px[1]] = painted[
                y0 - top : y1 - top, x0 - left : x1 - left
            ]
    return picture


def truth(case: Case) -> dict[str, npt.NDArray[np.float32]]:
    """Return what was planted where, as rasters of `STEP_PX` level-0 pixels, each (rows, columns) float32.

    Returns
    -------
    dict
        Activity of each programme by its name, 0 outside tumour nests; ``"tumour"`` and ``"tissue"``, the share of
        the cell.
    """
    anatomy = _scene(case).anatomy
    height, width = case.config.shape_px
    rows, columns = slice(-(-height // STEP_PX)), slice(-(-width // STEP_PX))
    tissue = np.clip(anatomy.tissue_um / anatomy.um_per_cell + 0.5, 0, 1)
    tumour = np.clip(anatomy.nest_um / anatomy.um_per_cell + 0.5, 0, 1) * tissue
    maps = {"tumour": tumour, "tissue": tissue} | {
        programme.name: activity * tumour for programme, activity in zip(PROGRAMMES, anatomy.activities, strict=True)
    }
    return {name: field[rows, columns].astype(np.float32) for name, field in maps.items()}


def _paint(scene: _Scene, block: tuple[int, int], mpp: float) -> Picture:
    origin = block[0] * BLOCK_PX, block[1] * BLOCK_PX
    stains = _stains(scene, block, mpp) if has_tissue(scene.ground, block) else None
    ink = None
    if scene.pen_um is not None and cells_of_block(scene.pen_um, block).max() > -10:
        ink = pen_ink(scene.look, at_pixels(scene.pen_um, block), origin)
    return develop(scene.look, stains, ink, origin)


def _stains(scene: _Scene, block: tuple[int, int], mpp: float) -> tuple[Field, Field]:
    origin = block[0] * BLOCK_PX, block[1] * BLOCK_PX
    haematoxylin, eosin = paint_ground(scene.ground, block, scene.look.texture_px, mpp)
    for ring in scene.rings_near.near(block):
        paint_ring((haematoxylin, eosin), scene.rings, int(ring), origin, mpp)
    near = scene.nuclei.pick(scene.nuclei_near.near(block))
    y, x, reach = near.y_px - origin[0], near.x_px - origin[1], scene.reach_px
    touching = (y > -reach) & (y < BLOCK_PX + reach) & (x > -reach) & (x < BLOCK_PX + reach)
    stain, cover = draw_nuclei(near.pick(touching), origin, 2 * reach + 16, mpp)
    haematoxylin += stain - cover * haematoxylin
    eosin *= 1 - 0.7 * cover
    tissue = tissue_cover(scene.ground, block, scene.look.texture_px, mpp)
    haematoxylin *= tissue
    eosin *= tissue
    return haematoxylin, eosin
