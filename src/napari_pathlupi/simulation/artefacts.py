"""What spoils slides, planted on an overview where a test knows that it lies."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Planted = tuple[Picture, Flags]
"""The spoilt picture, and where it is spoilt."""

INKS: Mapping[str, tuple[float, float, float]] = {
    "red pen": (0.08, 0.75, 0.62),
    "green pen": (0.60, 0.18, 0.26),
    "blue pen": (0.85, 0.50, 0.14),
    "black pen": (0.75, 0.78, 0.72),
}
"""Optical density of one stroke in red, green and blue, like those on real slides; our choice."""


def plant_pen(overview: Picture, mpp: float, random: np.random.Generator, ink: str) -> Planted:
    """Draw a curved stroke, 400 to 700 µm wide and soft at its edges, from one side of the picture to another."""
    rows, columns = overview.shape[:2]
    ends = random.uniform(0.1, 0.9, (2, 2)) * (rows, columns)
    ends[:, int(random.integers(2))] = [0.05 * min(rows, columns), 0.95 * min(rows, columns)]
    away_um = _distance(overview.shape, _curve(ends[0], ends[1], random.uniform(-0.2, 0.2))) * mpp
    half_um = random.uniform(200, 350)
    cover = 1 / (1 + np.exp((away_um - half_um) / 12))
    cover *= ndimage.gaussian_filter(random.uniform(0.7, 1.3, cover.shape), 150 / mpp, mode="nearest")
    return _darkened(overview, cover[..., None] * np.array(INKS[ink])), away_um < half_um


def plant_edge(overview: Picture, mpp: float, random: np.random.Generator) -> Planted:
    """Let one side of the picture lie in grey shadow, the darker the nearer to the border; 1.2 mm wide at most."""
    width = min(1200 / mpp, 0.08 * len(overview)) * random.uniform(0.5, 1)
    depth = np.clip(1 - np.arange(overview.shape[0]) / width, 0, 1)[:, None] * np.ones(overview.shape[1])
    turns = int(random.integers(2)) * 2
    density = np.rot90(0.8 * depth**1.5, turns)
    return _darkened(overview, density[..., None]), density > 0.06


def plant_bubble(overview: Picture, mpp: float, random: np.random.Generator) -> Planted:
    """Trap a round bubble of air, 500 to 1000 µm wide, within a dark line of 30 µm."""
    rows, columns = np.indices(overview.shape[:2])
    radius = random.uniform(250, 500) / mpp
    centre = [random.uniform(1.2 * radius, side - 1.2 * radius) for side in overview.shape[:2]]
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    outline = radius * (1 + 0.08 * np.cos(2 * angle + random.uniform(0, 6)) + 0.04 * np.cos(3 * angle))
    inside_um = (outline - np.hypot(rows - centre[0], columns - centre[1])) * mpp
    return _darkened(overview, 0.7 * np.exp(-((inside_um / 15) ** 2))[..., None]), inside_um > -10


def plant_fold(overview: Picture, tissue: Flags, mpp: float, random: np.random.Generator) -> Planted:
    """Lay tissue double along a curved band, 60 to 140 µm wide and 0.8 to 1.6 mm long, that begins in the tissue."""
    inside = np.argwhere(ndimage.binary_erosion(tissue, iterations=round(300 / mpp)))
    start = inside[random.integers(len(inside))].astype(float)
    angle, length = random.uniform(0, np.pi), random.uniform(800, 1600) / mpp
    half = length / 2 * np.array([np.sin(angle), np.cos(angle)])
    width_um = random.uniform(60, 140)
    away_um = _distance(overview.shape, _curve(start - half, start + half, random.uniform(-0.1, 0.1))) * mpp
    band = (away_um < width_um / 2) & tissue
    across = np.round(width_um / mpp * np.array([np.cos(angle), -np.sin(angle)])).astype(int)
    above = np.roll(overview, tuple(across), axis=(0, 1)).astype(float)
    glass = np.percentile(overview.reshape(-1, 3), 99, axis=0)
    return _darkened(overview, np.where(band[..., None], -np.log10((above + 1) / (glass + 1)), 0).clip(0)), band


ON_GLASS: Mapping[str, Callable[[Picture, float, np.random.Generator], Planted]] = {
    "slide edge": plant_edge,
    "bubble": plant_bubble,
}
"""What may lie anywhere."""


def _curve(first: npt.NDArray[np.float64], last: npt.NDArray[np.float64], bend: float) -> npt.NDArray[np.float64]:
    """(200, 2) points of an arc from one point to another."""
    along = np.linspace(0, 1, 200)[:, None]
    across = (last - first)[::-1] * np.array([1, -1])
    return np.asarray(first + along * (last - first) + 4 * bend * along * (1 - along) * across)


def _distance(shape: tuple[int, ...], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(rows, columns) distance to the nearest of the points that lie on the picture."""
    there = np.ones(shape[:2], bool)
    on = np.round(points).astype(int)
    on = on[((on >= 0) & (on < shape[:2])).all(axis=1)]
    there[on[:, 0], on[:, 1]] = False
    return np.asarray(ndimage.distance_transform_edt(there))


def _darkened(overview: Picture, density: npt.NDArray[np.float64]) -> Picture:
    return np.asarray((overview * 10**-density).round().clip(0, 255), dtype=np.uint8)
