"""Every nucleus of a simulated slide: where it is and what it looks like."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from napari_pathlupi.simulation.anatomy import Anatomy
from napari_pathlupi.simulation.fields import Field
from napari_pathlupi.simulation.packing import Points, cells_of, keep_apart, scatter
from napari_pathlupi.simulation.rings import GLAND, TUMOUR_GLAND, VESSEL, Rings


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Many nuclei, as columns of length N.

    Parameters
    ----------
    y_px, x_px
        Centre, level-0 pixels.
    long_um, short_um
        Half axes.
    angle
        Of the long axis, radians from x towards y.
    darkness
        Haematoxylin optical density where the chromatin is even.
    clumping, rim, nucleolus
        Strength of chromatin clumps, of the dark membrane, and of the nucleolus.
    irregularity
        How far the outline strays from an ellipse.
    space_um
        Radius of the cell: nuclei come no closer.
    """

    y_px: Field
    x_px: Field
    long_um: Field
    short_um: Field
    angle: Field
    darkness: Field
    clumping: Field
    rim: Field
    nucleolus: Field
    irregularity: Field
    space_um: Field

    def __len__(self) -> int:
        return len(self.y_px)

    def pick(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Nuclei":
        """Return some of them."""
        return Nuclei(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _join(parts: Sequence[Nuclei]) -> Nuclei:
    return Nuclei(
        *(np.concatenate([getattr(part, field.name) for part in parts]).astype(np.float32) for field in fields(Nuclei))
    )


def place_nuclei(random: np.random.Generator, anatomy: Anatomy, rings: Rings, mpp: float) -> Nuclei:
    """Return all nuclei of a slide, none overlapping.

    Densities and sizes are our choice within what is usual in histology: lymphocytes 6-7 µm, epithelial nuclei
    7-10 µm, tumour nuclei 8-14 µm across.
    """
    lined = [(_ring_nuclei, kind) for kind in (GLAND, TUMOUR_GLAND, VESSEL)]
    loose = (_tumour, _infiltrate, _septum, _fibroblasts, _lymphocytes, _dust)
    streams = random.spawn(len(lined) + len(loose))  # one each: the programmes must not reshuffle normal tissue
    parts = [draw(stream, rings, kind, mpp) for stream, (draw, kind) in zip(streams, lined, strict=False)]
    for stream, populate in zip(streams[len(lined) :], loose, strict=True):
        part = populate(stream, anatomy)
        parts.append(part.pick(~rings.hold(_points(part), mpp)))
    first = np.arange(len(parts)) < len(lined)
    order = [stream.random(len(part)) - early for stream, part, early in zip(streams, parts, first, strict=True)]
    everything = _join(parts)
    inside = _at(anatomy.tissue_um, everything) > 3
    everything = everything.pick(inside)
    kept = keep_apart(_points(everything), everything.space_um / mpp, np.concatenate(order)[inside])
    return everything.pick(kept)


def _points(nuclei: Nuclei) -> Points:
    return np.stack([nuclei.y_px, nuclei.x_px], axis=1).astype(np.float64)


def _at(field: npt.NDArray[np.generic], nuclei: Nuclei) -> Field:
    rows, columns = cells_of(_points(nuclei))
    rows, columns = rows.clip(0, field.shape[0] - 1), columns.clip(0, field.shape[1] - 1)
    return np.asarray(field[rows, columns], dtype=np.float32)


def _blend(low: float, high: float, share: Field) -> Field:
    return low + (high - low) * share


def _tumour(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    points = scatter(random, (1 / 18) * (anatomy.epithelium_um > 2), anatomy.um_per_cell)
    rows, columns = cells_of(points)
    grade, forming, spindle, immune, hypoxia = anatomy.activities[:, rows, columns]
    count = len(points)
    scale = _blend(3.4, 5.2, grade) * np.exp(random.normal(0, 1, count) * _blend(0.06, 0.20, grade))
    stretch = np.sqrt(_blend(1.15, 3.3, np.clip((spindle - 0.15) / 0.6, 0, 1)) * random.uniform(0.85, 1.2, count))
    along = anatomy.fibre_angle[rows, columns] + random.normal(0, 0.22, count)
    angle = np.where(random.random(count) < 1.6 * spindle - 0.2, along, random.uniform(0, np.pi, count))
    mitosis = random.random(count) < 0.035 * np.clip(grade - 0.25, 0, 1)
    # Equal haematoxylin per area of nest, whatever the programmes: colour alone must not tell them.
    load = (4.2 / _blend(3.4, 5.2, grade)) ** 1.0 * _blend(1.05, 0.80, immune) * _blend(1.05, 0.88, forming)
    darkness = load * _blend(0.92, 1.28, hypoxia) * np.exp(random.normal(0, 0.10, count))
    return Nuclei(
        y_px=points[:, 0],
        x_px=points[:, 1],
        long_um=np.where(mitosis, 4.6, scale * stretch),
        short_um=np.where(mitosis, 1.7, scale / stretch),
        angle=angle,
        darkness=np.where(mitosis, 1.9, darkness),
        clumping=np.where(mitosis, 0.1, _blend(0.16, 0.30, grade)),
        rim=np.where(mitosis, 0.0, _blend(0.10, 0.35, grade)),
        nucleolus=np.where(mitosis, 0.0, _blend(0.0, 0.9, grade) * random.random(count)),
        irregularity=np.where(mitosis, 0.35, _blend(0.05, 0.13, grade)),
        space_um=_blend(4.1, 5.0, grade) * random.uniform(0.85, 1.15, count),
    )


def _infiltrate(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    immune = anatomy.activities[3]
    density = (1 / 24) * np.clip(immune - 0.15, 0, 1) ** 1.4 * (anatomy.epithelium_um > 0)
    septa = (1 / 260) * immune * ((anatomy.nest_um > 0) & (anatomy.epithelium_um < 0) & (anatomy.necrosis_um < 0))
    return _small_round(random, scatter(random, density + septa, anatomy.um_per_cell))


def _lymphocytes(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    stroma = (anatomy.nest_um < -8) & (anatomy.fat_um < -15) & (anatomy.tissue_um > 0)
    return _small_round(random, scatter(random, stroma / 4500 + anatomy.aggregate / 10, anatomy.um_per_cell))


def _small_round(random: np.random.Generator, points: Points) -> Nuclei:
    count = len(points)
    size = random.normal(3.0, 0.22, count).clip(2.4, 3.8)
    ratio = random.uniform(0.88, 1.0, count)
    return _plain(random, points, (size, size * ratio), random.uniform(0, np.pi, count), 1.3, size * 0.92)


def _plain(
    random: np.random.Generator,
    points: Points,
    half_axes_um: tuple[Field, Field],
    angle: Field,
    darkness: float,
    space_um: Field,
) -> Nuclei:
    """Return nuclei without atypia."""
    count = len(points)
    return Nuclei(
        y_px=points[:, 0],
        x_px=points[:, 1],
        long_um=half_axes_um[0],
        short_um=half_axes_um[1],
        angle=angle,
        darkness=darkness * np.exp(random.normal(0, 0.10, count)),
        clumping=np.full(count, 0.22),
        rim=np.full(count, 0.10),
        nucleolus=np.zeros(count),
        irregularity=np.full(count, 0.06),
        space_um=space_um,
    )


def _fibroblasts(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    stroma = (anatomy.nest_um < 0) & (anatomy.fat_um < -15) & ~anatomy.aggregate
    um2 = np.where(anatomy.cellular, 130.0, np.where(anatomy.hyaline, 2500.0, 520.0))
    return _spindles(random, anatomy, stroma / um2)


def _septum(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    stroma = (anatomy.nest_um >= 0) & (anatomy.epithelium_um < -2) & (anatomy.necrosis_um < -2)
    return _spindles(random, anatomy, stroma / 520.0)


def _spindles(random: np.random.Generator, anatomy: Anatomy, density_per_um2: Field) -> Nuclei:
    points = scatter(random, density_per_um2, anatomy.um_per_cell)
    count = len(points)
    length, width = random.uniform(4.5, 8.5, count), random.uniform(1.1, 1.9, count)
    angle = anatomy.fibre_angle[cells_of(points)] + random.normal(0, 0.2, count)
    return _plain(random, points, (length, width), angle, 1.05, random.uniform(3.2, 4.6, count))


def _dust(random: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    points = scatter(random, (anatomy.necrosis_um > 0) / 330.0, anatomy.um_per_cell)
    count = len(points)
    size = random.uniform(0.7, 2.2, count)
    return _plain(random, points, (size, size * 0.85), random.uniform(0, np.pi, count), 1.2, size + 0.8)


def _ring_nuclei(random: np.random.Generator, rings: Rings, kind: int, mpp: float) -> Nuclei:
    chosen = np.flatnonzero(rings.kind == kind)
    spacing_um = {GLAND: 6.0, TUMOUR_GLAND: 7.6, VESSEL: 13.0}[kind]
    counts = (2 * np.pi * (rings.radius_um[chosen] - 3) / spacing_um).astype(int).clip(3)
    ring = np.repeat(chosen, counts)
    place = np.arange(len(ring)) - np.repeat(np.cumsum(counts) - counts, counts)
    turn = 2 * np.pi * (place + random.uniform(-0.28, 0.28, len(ring))) / np.repeat(counts, counts)
    depth = {GLAND: 0.36, TUMOUR_GLAND: 0.48, VESSEL: 0.4}[kind]
    jitter = {GLAND: 0.9, TUMOUR_GLAND: 1.5, VESSEL: 0.0}[kind]
    inset = depth * rings.wall_um[ring] + random.normal(0, jitter, len(ring))
    radius = (rings.outline_um(ring, turn.astype(np.float32)) - inset) / mpp
    points = rings.centre_px[ring] + radius[:, None] * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    count = len(points)
    spread = random.normal(0, 0.12, count)
    if kind == VESSEL:
        long_um, short_um = random.uniform(3.5, 5.5, count), random.uniform(1.0, 1.5, count)
        return _plain(random, points, (long_um, short_um), turn + np.pi / 2 + spread, 1.1, np.full(count, 2.5))
    long_um, short_um = random.normal(4.2, 0.35, count), random.normal(2.7, 0.2, count)
    if kind == TUMOUR_GLAND:
        long_um, short_um = random.normal(4.4, 0.5, count).clip(3), random.normal(3.3, 0.35, count).clip(2)
    return _plain(random, points, (long_um, short_um), turn + spread, 1.08, np.full(count, 2.7))
