"""Glands and vessels, painted into the stains of a block."""

import numpy as np

from napari_pathlupi.simulation.fields import BLOCK_PX, Field, textures
from napari_pathlupi.simulation.painting import Stains, soft
from napari_pathlupi.simulation.rings import GLAND, TUMOUR_GLAND, Rings


def paint_ring(stains: Stains, rings: Rings, ring: int, origin_px: tuple[int, int], mpp: float) -> None:
    """Paint one gland or vessel where it lies in the block at ``origin_px``."""
    centre = rings.centre_px[ring] - origin_px
    reach = float(rings.reach_um[ring]) / mpp + 3
    top, left = np.maximum(np.floor(centre - reach), 0).astype(int)
    bottom, right = np.minimum(np.ceil(centre + reach), BLOCK_PX).astype(int)
    if top >= bottom or left >= right:
        return
    window = slice(top, bottom), slice(left, right)
    down = ((np.arange(top, bottom) + 0.5 - centre[0]) * mpp).astype(np.float32)[:, None]
    across = ((np.arange(left, right) + 0.5 - centre[1]) * mpp).astype(np.float32)[None, :]
    outline_um = rings.outline_um(ring, np.arctan2(down, across))
    depth_um = outline_um - np.sqrt(down * down + across * across)
    shift = (rings.centre_px[ring] * 7).astype(int)  # each ring its own texture, the same in every block
    start = origin_px[0] + int(shift[0]), origin_px[1] + int(shift[1])
    mottle, grain, cloud = (textures().window(coarse, start)[window] for coarse in (3.0, 1.4, 8.0))
    wall_um = float(rings.wall_um[ring])
    wall, lumen = soft(depth_um / mpp), soft((depth_um - wall_um + 0.7 * mottle) / mpp)
    haematoxylin, eosin, content = _tissues(rings, ring, (depth_um / wall_um, cloud, mottle))
    eosin = eosin + 0.035 * grain + 0.03 * cloud
    eosin += lumen * (content - eosin)
    stains[0][window] += wall * (haematoxylin * (1 - lumen) - stains[0][window])
    stains[1][window] += wall * (np.maximum(eosin, 0) - stains[1][window])
    if rings.kind[ring] == GLAND:
        stains[1][window] += 0.16 * np.maximum(1 - np.abs(depth_um + 0.6) / 1.3, 0)


def _tissues(rings: Rings, ring: int, place: tuple[Field, Field, Field]) -> tuple[float, Field, Field]:
    """Return haematoxylin and eosin of the wall, and eosin of what fills the lumen."""
    depth, cloud, mottle = place
    if rings.kind[ring] == GLAND:
        return 0.06, 0.46 - 0.26 * np.clip(depth * 1.4 - 0.5, 0, 1), 0.02 + 0.05 * np.maximum(cloud, 0)
    if rings.kind[ring] == TUMOUR_GLAND:
        return 0.13, np.full_like(depth, 0.42), 0.03 + 0.09 * np.maximum(cloud - 0.3, 0)
    filled = rings.waves[ring, 3] > np.pi
    return 0.04, np.full_like(depth, 0.62), (0.80 + 0.22 * mottle) if filled else np.full_like(depth, 0.03)
