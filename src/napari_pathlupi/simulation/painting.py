"""How much of each stain every pixel of a block takes up."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pathlupi.simulation.anatomy import Anatomy
from napari_pathlupi.simulation.fields import (
    BLOCK_PX,
    STEP_PX,
    TEXTURE_PX,
    Field,
    at_pixels,
    cells_of_block,
    smooth_noise,
    textures,
    with_halo,
)

ADIPOCYTE_UM = 62.0
FIBRE_SAMPLES = 16

Stains = tuple[Field, Field]
"""Haematoxylin and eosin, each (BLOCK_PX, BLOCK_PX), changed in place."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Everything between the nuclei, as rasters `with_halo`.

    Parameters
    ----------
    tissue_um, epithelium_um, necrosis_um
        As in `Anatomy`.
    across, along
        Its ``fibre``.
    eosin, fibre_strength
        Eosin of the stroma, and how much of it is in its fibres.
    retraction
        Where tumour has shrunk from its stroma.
    fat_px, lean_px
        (N, 2) centres of the cells of a honeycomb, level-0 pixels: those that are fat, and their neighbours.
    """

    tissue_um: Field
    epithelium_um: Field
    necrosis_um: Field
    across: Field
    along: Field
    eosin: Field
    fibre_strength: Field
    retraction: Field
    fat_px: npt.NDArray[np.float64]
    lean_px: npt.NDArray[np.float64]


def prepare_ground(random: np.random.Generator, anatomy: Anatomy) -> Ground:
    """Return what the stroma, cytoplasm and fat of a slide look like."""
    shape, scale = anatomy.shape, 1 / anatomy.um_per_cell
    dense = np.clip(0.5 + 0.35 * smooth_noise(random, shape, 130 * scale), 0, 1)
    eosin, strength = 0.30 + 0.22 * dense, 0.55 - 0.20 * dense
    for mask, its_eosin, its_strength in (
        (anatomy.hyaline, 0.62, 0.12),
        (anatomy.aggregate, 0.20, 0.20),
        (anatomy.cellular, 0.42, 0.30),
        (anatomy.nest_um > 0, 0.44, 0.35),
    ):
        weight = ndimage.gaussian_filter(mask.astype(np.float32), 1.5)
        eosin, strength = eosin + weight * (its_eosin - eosin), strength + weight * (its_strength - strength)
    fat_px, lean_px = _honeycomb(random, anatomy)
    return Ground(
        tissue_um=with_halo(anatomy.tissue_um),
        epithelium_um=with_halo(anatomy.epithelium_um),
        necrosis_um=with_halo(anatomy.necrosis_um),
        across=with_halo(anatomy.fibre[0]),
        along=with_halo(anatomy.fibre[1]),
        eosin=with_halo(eosin.astype(np.float32)),
        fibre_strength=with_halo(strength.astype(np.float32)),
        retraction=with_halo(np.clip(smooth_noise(random, shape, 70 * scale), 0, 1)),
        fat_px=fat_px,
        lean_px=lean_px,
    )


def _honeycomb(
    random: np.random.Generator, anatomy: Anatomy
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    lattice = np.array(anatomy.shape) * anatomy.um_per_cell / ADIPOCYTE_UM
    places = np.indices((int(lattice[0]), int(lattice[1]))).reshape(2, -1).T
    cells = (places + random.uniform(0.08, 0.92, places.shape)) * ADIPOCYTE_UM / anatomy.um_per_cell
    fat_um = anatomy.fat_um[tuple(cells.astype(int).T)]
    return cells[fat_um > 15] * STEP_PX, cells[(fat_um <= 15) & (fat_um > -2 * ADIPOCYTE_UM)] * STEP_PX


def has_tissue(ground: Ground, block: tuple[int, int]) -> bool:
    """Tell whether anything but glass can be in a block."""
    return bool(cells_of_block(ground.tissue_um, block).max() > -8.0)


def paint_ground(ground: Ground, block: tuple[int, int], texture_px: tuple[int, int], mpp: float) -> Stains:
    """Return the stains of a block before glands and nuclei, as if there were tissue everywhere."""
    start = texture_px[0] + block[0] * BLOCK_PX, texture_px[1] + block[1] * BLOCK_PX
    sheets = textures()
    grain, mottle, cloud = (sheets.window(coarseness, start) for coarseness in (1.4, 3.0, 8.0))
    across, along = at_pixels(ground.across, block) + 0.16 * cloud, at_pixels(ground.along, block) + 0.03 * mottle
    places = [(axis * FIBRE_SAMPLES).astype(np.int32) & (TEXTURE_PX - 1) for axis in (across, along)]
    fibres = sheets.weave[places[0], places[1]] * at_pixels(ground.fibre_strength, block)
    fibres += 0.07 * mottle + 0.04 * grain + 1
    eosin = np.maximum(at_pixels(ground.eosin, block) * fibres, 0.015)
    haematoxylin = 0.05 + 0.015 * cloud
    epithelium_um = at_pixels(ground.epithelium_um, block) + 1.2 * mottle
    if epithelium_um.max() > -12:
        gap = np.maximum(1 - np.abs(epithelium_um + 4) / 3.5, 0) * at_pixels(ground.retraction, block)
        eosin *= 1 - 0.9 * np.minimum(gap * 1.5, 1)
        _blend(eosin, 0.40 + 0.05 * cloud + 0.045 * grain, epithelium_um / mpp)
        _blend(haematoxylin, 0.13 + 0.02 * cloud, epithelium_um / mpp)
    if cells_of_block(ground.necrosis_um, block).max() > -10:
        necrosis = (at_pixels(ground.necrosis_um, block) + 3 * cloud) / mpp
        _blend(eosin, 0.27 + 0.07 * cloud + 0.08 * mottle + 0.05 * grain, 0.3 * necrosis)
        _blend(haematoxylin, 0.05 + 0.02 * mottle, 0.3 * necrosis)
    hole = _fat_depth_px(ground, block, mpp)
    if hole is not None:
        _blend(eosin, np.float32(0.01), hole - 1.3 + 0.3 * mottle)
        _blend(haematoxylin, np.float32(0.0), hole - 1.3)
    return haematoxylin, eosin


def soft(distance_px: Field) -> Field:
    """Return the share of a pixel inside a border at this distance, with the blur of a microscope."""
    return np.asarray(np.clip(distance_px * np.float32(0.5) + np.float32(0.5), 0, 1))


def tissue_cover(ground: Ground, block: tuple[int, int], texture_px: tuple[int, int], mpp: float) -> Field:
    """(BLOCK_PX, BLOCK_PX) share of each pixel that is tissue, with a ragged edge."""
    start = texture_px[0] + block[0] * BLOCK_PX, texture_px[1] + block[1] * BLOCK_PX
    ragged = 1.5 * textures().window(8.0, start) + 0.8 * textures().window(3.0, start)
    return soft((at_pixels(ground.tissue_um, block) + ragged) / mpp)


def _blend(plane: Field, value: Field | np.float32, distance_px: Field) -> None:
    """Replace a plane by a value inside a border."""
    plane += soft(distance_px) * (value - plane)


def _fat_depth_px(ground: Ground, block: tuple[int, int], mpp: float) -> Field | None:
    """Return the depth in the nearest fat cell, negative outside, from every second pixel; None without fat."""
    origin = np.array(block) * BLOCK_PX
    fat, lean = (
        (centres - origin)[np.all(np.abs(centres - origin - BLOCK_PX / 2) < BLOCK_PX / 2 + reach / mpp, axis=1)]
        for centres, reach in ((ground.fat_px, ADIPOCYTE_UM), (ground.lean_px, 2 * ADIPOCYTE_UM))
    )
    if not len(fat):
        return None
    pixels = np.arange(1, BLOCK_PX, 2, dtype=np.float32)
    first = np.full((len(pixels), len(pixels)), 1e6, dtype=np.float32)
    second = first.copy()
    for number, (y, x) in enumerate(np.concatenate([fat, lean]).astype(np.float32)):
        distance = np.sqrt((pixels - y)[:, None] ** 2 + (pixels - x)[None, :] ** 2)
        if number < len(fat):
            np.minimum(second, np.maximum(first, distance), out=second)
            np.minimum(first, distance, out=first)
        else:
            np.minimum(second, distance, out=second)
    depth = np.minimum((second - first) / 2, np.float32(0.62 * ADIPOCYTE_UM / mpp) - first)
    return np.asarray(ndimage.uniform_filter(np.repeat(np.repeat(depth, 2, axis=0), 2, axis=1), 3))


def block_count(shape_px: tuple[int, int]) -> tuple[int, int]:
    """Return how many blocks cover a slide."""
    return -(-shape_px[0] // BLOCK_PX), -(-shape_px[1] // BLOCK_PX)
