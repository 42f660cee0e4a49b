"""Everything with a lumen: normal glands, tumour glands and vessels."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_pathlupi.simulation.anatomy import Anatomy
from napari_pathlupi.simulation.fields import Field
from napari_pathlupi.simulation.packing import Points, keep_apart, scatter

GLAND, TUMOUR_GLAND, VESSEL = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Many rings, as columns.

    Parameters
    ----------
    centre_px
        (N, 2) level-0 pixels.
    kind
        (N,) `GLAND`, `TUMOUR_GLAND` or `VESSEL`.
    radius_um, wall_um
        (N,) mean outer radius and thickness of the wall.
    waves
        (N, 4) amplitude and phase of the outline's second and third harmonic.
    """

    centre_px: Points
    kind: npt.NDArray[np.int64]
    radius_um: Field
    wall_um: Field
    waves: Field

    def __len__(self) -> int:
        return len(self.kind)

    def pick(self, chosen: npt.NDArray[np.int64]) -> "Rings":
        """Return some of them."""
        return Rings(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def reach_um(self) -> Field:
        """(N,) no point of a ring is farther from its centre."""
        return np.asarray(self.radius_um * (1 + self.waves[:, 0] + self.waves[:, 2]))

    def outline_um(self, ring: npt.NDArray[np.int64] | int, angle: Field) -> Field:
        """Return the outer radius of rings in some directions (radians from x towards y)."""
        second, turn2, third, turn3 = np.moveaxis(self.waves[ring], -1, 0)
        wave = 1 + second * np.cos(2 * angle + turn2) + third * np.cos(3 * angle + turn3)
        return np.asarray(self.radius_um[ring] * wave, dtype=np.float32)

    def hold(self, points_px: Points, mpp: float) -> npt.NDArray[np.bool_]:
        """(M,) which points lie inside a ring."""
        if not len(self) or not len(points_px):
            return np.zeros(len(points_px), dtype=np.bool_)
        near = min(4, len(self))
        _, ring = cKDTree(self.centre_px).query(points_px, k=near)
        ring = np.asarray(ring).reshape(len(points_px), near)
        offset = (points_px[:, None] - self.centre_px[ring]) * mpp
        angle = np.arctan2(offset[..., 0], offset[..., 1]).astype(np.float32)
        return np.asarray((np.hypot(offset[..., 0], offset[..., 1]) < self.outline_um(ring, angle)).any(axis=1))


def place_rings(random: np.random.Generator, anatomy: Anatomy, mpp: float) -> Rings:
    """Return the glands and vessels of a slide, none overlapping."""
    inside = anatomy.tissue_um > 40
    stroma = inside & (anatomy.nest_um < -10) & (anatomy.fat_um < -25) & ~anatomy.lobule & ~anatomy.aggregate
    forming = np.clip((anatomy.activities[1] - 0.25) / 0.55, 0, 1) ** 1.5
    candidates_per_um2 = {
        GLAND: (anatomy.lobule & inside) / 450.0,
        TUMOUR_GLAND: (anatomy.epithelium_um > 11) * forming / 250.0,
        VESSEL: stroma / 60000.0,
    }
    parts = [
        (_draw(stream, kind, scatter(stream, density, anatomy.um_per_cell)), stream)
        for stream, (kind, density) in zip(random.spawn(3), candidates_per_um2.items(), strict=True)
    ]
    order = np.concatenate([stream.random(len(part)) for part, stream in parts])
    rings = Rings(*(np.concatenate([getattr(part, field.name) for part, _ in parts]) for field in fields(Rings)))
    gap_um = np.where(rings.kind == GLAND, 5.0, 2.0)
    return rings.pick(keep_apart(rings.centre_px, (rings.reach_um + gap_um) / mpp, order))


def _draw(random: np.random.Generator, kind: int, centres_px: Points) -> Rings:
    count = len(centres_px)
    radius_um = {GLAND: (20.0, 40.0), TUMOUR_GLAND: (13.0, 23.0), VESSEL: (8.0, 22.0)}[kind]
    wall_um = {GLAND: (11.0, 15.0), TUMOUR_GLAND: (8.0, 11.0), VESSEL: (2.2, 3.0)}[kind]
    waves = np.empty((count, 4))
    waves[:, 0] = random.uniform(0.02, 0.22, count)
    waves[:, 2] = random.uniform(0.0, 0.03 if kind == VESSEL else 0.11, count)
    waves[:, 1::2] = random.uniform(0, 2 * np.pi, (count, 2))
    return Rings(
        centres_px, np.full(count, kind), random.uniform(*radius_um, count), random.uniform(*wall_um, count), waves
    )
