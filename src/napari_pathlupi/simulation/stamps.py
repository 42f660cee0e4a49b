"""Nuclei drawn as soft ellipses with chromatin."""

import numpy as np

from napari_pathlupi.simulation.fields import BLOCK_PX, TEXTURE_PX, Field, textures
from napari_pathlupi.simulation.nuclei import Nuclei

CHUNK_PX = 200_000
"""So many pixels of stamps are computed at once: about what a core's cache holds."""
SIDES_PX = (16, 24, 32, 48, 64, 96, 128, 192)


def reach_px(nuclei: Nuclei, mpp: float) -> int:
    """Return how far from its centre a nucleus can draw, level-0 pixels."""
    longest = float(nuclei.long_um.max()) if len(nuclei) else 1.0
    return min(int(longest * 1.25 / mpp) + 2, SIDES_PX[-1] // 2)


def draw_nuclei(nuclei: Nuclei, origin_px: tuple[int, int], margin_px: int, mpp: float) -> tuple[Field, Field]:
    """Return haematoxylin and cover (0 to 1) of the nuclei in one block, each (BLOCK_PX, BLOCK_PX).

    Parameters
    ----------
    nuclei
        Those that may reach into the block.
    origin_px
        Corner of the block.
    margin_px
        At least twice the reach of a nucleus.
    mpp
        µm per pixel.
    """
    side = BLOCK_PX + 2 * margin_px
    stain, cover = np.zeros((side, side), dtype=np.float32), np.zeros((side, side), dtype=np.float32)
    half_px = nuclei.long_um * 1.25 / mpp + 2
    size_class = np.searchsorted(np.array(SIDES_PX) / 2, half_px).clip(max=len(SIDES_PX) - 1)
    for number, stamp_px in enumerate(SIDES_PX):
        chosen = np.flatnonzero(size_class == number)
        chunk = max(1, CHUNK_PX // stamp_px**2)
        for start in range(0, len(chosen), chunk):
            some = nuclei.pick(chosen[start : start + chunk])
            y, x = some.y_px - origin_px[0] + margin_px, some.x_px - origin_px[1] + margin_px
            top, left = np.floor(y).astype(int) - stamp_px // 2, np.floor(x).astype(int) - stamp_px // 2
            stains, covers = _stamps(some, stamp_px, (y - top, x - left), mpp)
            for i, (row, column) in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
                window = slice(row, row + stamp_px), slice(column, column + stamp_px)
                np.maximum(stain[window], stains[i], out=stain[window])
                np.maximum(cover[window], covers[i], out=cover[window])
    inner = slice(margin_px, margin_px + BLOCK_PX)
    return stain[inner, inner], cover[inner, inner]


def _stamps(nuclei: Nuclei, stamp_px: int, centre_px: tuple[Field, Field], mpp: float) -> tuple[Field, Field]:
    """Return (N, stamp_px, stamp_px) stain and cover."""

    def column(values: Field) -> Field:
        return values.astype(np.float32)[:, None, None]

    pixels = np.arange(stamp_px, dtype=np.float32) + 0.5
    down = pixels[None, :, None] - column(centre_px[0])
    right = pixels[None, None, :] - column(centre_px[1])
    cosine, sine = column(np.cos(nuclei.angle)), column(np.sin(nuclei.angle))
    long_px, short_px = column(nuclei.long_um / mpp), column(nuclei.short_um / mpp)
    u = (cosine / long_px) * right + (sine / long_px) * down
    v = (cosine / short_px) * down - (sine / short_px) * right
    square = u * u + v * v
    radius = np.sqrt(square)
    radius += column(nuclei.irregularity) * _patches(nuclei, stamp_px, 8.0)
    cover = (1 - radius) * (short_px / 1.7)
    cover += 0.5
    np.clip(cover, 0, 1, out=cover)
    chromatin = column(nuclei.clumping) * _patches(nuclei, stamp_px, 1.4)
    chromatin += column(nuclei.rim) * (square * square - 0.33)
    spot = 1 - ((u - 0.2) ** 2 + (v + 0.15) ** 2) * 9.0
    np.maximum(spot, 0, out=spot)
    chromatin += column(nuclei.nucleolus) * spot
    np.clip(chromatin, -0.6, 1.0, out=chromatin)
    chromatin += 1
    chromatin *= cover
    chromatin *= column(nuclei.darkness)
    return chromatin, cover


def _patches(nuclei: Nuclei, stamp_px: int, coarseness: float) -> Field:
    """Return (N, stamp_px, stamp_px) pieces of a texture, each nucleus its own, the same in every block."""
    sheet = textures().sheets[coarseness]
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (stamp_px, stamp_px))
    seed = (nuclei.y_px * 977.0 + nuclei.x_px * 1409.0).astype(np.int64)
    return np.asarray(windows[seed % TEXTURE_PX, (seed // 7) % TEXTURE_PX])
