"""Which tissue lies where on a simulated slide, on a raster of `STEP_PX` level-0 pixels."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_pathlupi.simulation.fields import (
    BLOCK_CELLS,
    BLOCK_PX,
    STEP_PX,
    Field,
    Mask,
    signed_distance_um,
    smooth_noise,
    top_share,
)
from napari_pathlupi.simulation.programmes import Case

FIBRE_UM, FIBRE_LENGTH_UM = 7.0, 70.0
"""Width and length of a collagen bundle; our choice."""
SMALLEST_NEST_UM2 = 8000.0


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Where everything is; all rasters cover whole blocks, so a little more than the slide.

    Parameters
    ----------
    um_per_cell
        Side of a cell.
    tissue_um, nest_um, epithelium_um, necrosis_um, fat_um
        Distance to the border of all tissue, tumour nests, the tumour cells within them, their dead cores, and fat;
        positive inside.
    lobule, aggregate, cellular, hyaline
        Normal tissue as masks: glands, lymphocytes, fibroblasts in excess, and pale scar.
    fibre
        (2, rows, columns) position in the weave of collagen, in fibres: across them and along them.
    activities
        (programmes, rows, columns) activity of each programme; 0 outside nests.
    """

    um_per_cell: float
    tissue_um: Field
    nest_um: Field
    epithelium_um: Field
    necrosis_um: Field
    fat_um: Field
    lobule: Mask
    aggregate: Mask
    cellular: Mask
    hyaline: Mask
    fibre: Field
    activities: Field

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.tissue_um.shape[0], self.tissue_um.shape[1]

    @property
    def fibre_angle(self) -> Field:
        """(rows, columns) direction of the fibres, radians from the x axis towards y."""
        down, right = np.gradient(self.fibre[0])
        return np.asarray(np.arctan2(-right, down), dtype=np.float32)


def lay_out(case: Case) -> Anatomy:
    """Return where everything lies on the slide of a case."""
    random = case.random(1)
    um_per_cell = STEP_PX * case.config.mpp
    tissue_um = _tissue_um(random, case, um_per_cell)
    within = tissue_um > 25.0
    nest_um = _nest_um(random, case, within, um_per_cell)
    activities = _activities(random, case, nest_um, um_per_cell)
    necrosis_um = _necrosis_um(random, nest_um, activities[-1], um_per_cell)
    septum = np.abs(smooth_noise(random, nest_um.shape, 55 / um_per_cell)) < 0.13
    epithelium = (nest_um > 0) & (necrosis_um < 0) & ~septum
    rest = within & (nest_um < -20.0)
    zones = []
    for largest_share, scale_um in ((0.30, 260.0), (0.28, 240.0), (0.10, 130.0), (0.30, 200.0), (0.22, 180.0)):
        share = float(random.uniform(0.0, largest_share)) * case.config.distractors
        zone = top_share(smooth_noise(random, rest.shape, scale_um / um_per_cell), rest, share)
        zones.append(zone)
        rest = rest & ~zone
    fat, lobule, aggregate, cellular, hyaline = zones
    return Anatomy(
        um_per_cell=um_per_cell,
        tissue_um=tissue_um,
        nest_um=nest_um,
        epithelium_um=signed_distance_um(epithelium, um_per_cell),
        necrosis_um=necrosis_um,
        fat_um=signed_distance_um(fat, um_per_cell),
        lobule=lobule,
        aggregate=aggregate,
        cellular=cellular,
        hyaline=hyaline,
        fibre=_fibre(random, nest_um.shape, um_per_cell),
        activities=activities,
    )


def _tissue_um(random: np.random.Generator, case: Case, um_per_cell: float) -> Field:
    height, width = case.config.shape_px
    shape = (-(-height // BLOCK_PX) * BLOCK_CELLS, -(-width // BLOCK_PX) * BLOCK_CELLS)
    sides = np.array([height, width]) / STEP_PX
    long_axis = int(width >= height)
    pieces = 1 if sides.max() * um_per_cell < 2500 else int(random.integers(1, 4))
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    level = np.full(shape, -np.inf, dtype=np.float32)
    for piece in range(pieces):
        centre = sides * (0.5 + random.uniform(-0.05, 0.05, 2))
        radii = sides * random.uniform(0.30, 0.40, 2)
        centre[long_axis] = sides[long_axis] * (piece + 0.5 + random.uniform(-0.06, 0.06)) / pieces
        radii[long_axis] /= pieces
        ellipse = 1 - np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
        level = np.maximum(level, ellipse.astype(np.float32))
    reach = float(sides.min()) / pieces**0.5
    level += 0.30 * smooth_noise(random, shape, reach / 4) + 0.10 * smooth_noise(random, shape, reach / 14)
    level += 0.06 * smooth_noise(random, shape, 90 / um_per_cell)
    level += 0.03 * smooth_noise(random, shape, 35 / um_per_cell)
    margin = np.minimum(np.minimum(rows, sides[0] - 1 - rows), np.minimum(columns, sides[1] - 1 - columns))
    level -= 0.6 * np.clip(1 - margin / (0.07 * float(sides.min())), 0, 1)
    inside = margin * um_per_cell > 20
    share = random.uniform(0.36, 0.56)
    tissue = top_share(level, inside, float(share * sides.prod() / inside.sum()))
    tears = np.abs(smooth_noise(random, shape, 180 / um_per_cell)) < 0.05
    tears &= smooth_noise(random, shape, 250 / um_per_cell) > 1.1
    labels, count = ndimage.label(tissue)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * um_per_cell**2
    return signed_distance_um(tissue & ~tears & (sizes > 15000)[labels], um_per_cell)


def _nest_um(random: np.random.Generator, case: Case, within: Mask, um_per_cell: float) -> Field:
    shape = within.shape[0], within.shape[1]
    scale_um = float(np.clip(0.12 * min(case.config.shape_px) * case.config.mpp, 150, 500))
    field = smooth_noise(random, shape, scale_um / um_per_cell)
    field += 0.30 * smooth_noise(random, shape, scale_um / 3 / um_per_cell)
    field += 0.12 * smooth_noise(random, shape, 40 / um_per_cell)
    share = float(random.uniform(*case.config.nest_share))
    nests = top_share(field, within, share * 1.05)
    labels, count = ndimage.label(nests)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * um_per_cell**2
    sizes[0] = 0
    large = sizes >= min(SMALLEST_NEST_UM2, sizes.max())
    return signed_distance_um(ndimage.binary_fill_holes(large[labels]) & within, um_per_cell)


def _activities(random: np.random.Generator, case: Case, nest_um: Field, um_per_cell: float) -> Field:
    planes = [
        np.clip(mean + 0.12 * smooth_noise(random, (nest_um.shape[0], nest_um.shape[1]), 150 / um_per_cell), 0, 1)
        for mean in case.activities
    ]
    return np.asarray(np.stack(planes) * (nest_um > 0), dtype=np.float32)


def _necrosis_um(random: np.random.Generator, nest_um: Field, hypoxia: Field, um_per_cell: float) -> Field:
    depth_um = nest_um + 12 * smooth_noise(random, (nest_um.shape[0], nest_um.shape[1]), 40 / um_per_cell)
    labels, count = ndimage.label(nest_um > 0)
    deepest_um = np.asarray(ndimage.maximum(nest_um, labels, np.arange(count + 1)))[labels]
    alive_um = np.maximum(115 - 110 * hypoxia, (0.85 - 0.65 * hypoxia) * deepest_um)
    return signed_distance_um((hypoxia > 0.3) & (depth_um > alive_um), um_per_cell)


def _fibre(random: np.random.Generator, shape: tuple[int, int], um_per_cell: float) -> Field:
    angle = random.uniform(0, np.pi)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    ramp = (np.cos(angle) * rows + np.sin(angle) * columns) * um_per_cell
    swing = 190 * smooth_noise(random, shape, 260 / um_per_cell) + 22 * smooth_noise(random, shape, 60 / um_per_cell)
    along = (np.cos(angle) * columns - np.sin(angle) * rows) * um_per_cell
    along += 60 * smooth_noise(random, shape, 110 / um_per_cell)
    return np.stack([(ramp + swing) / FIBRE_UM, along / FIBRE_LENGTH_UM]).astype(np.float32)
