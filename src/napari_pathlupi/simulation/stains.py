"""How a slide was stained, scanned and written on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_pathlupi.simulation.fields import BLOCK_PX, STEP_PX, Field, textures
from napari_pathlupi.simulation.programmes import Case

HAEMATOXYLIN = (0.5626, 0.7201, 0.4062)
EOSIN = (0.2159, 0.8012, 0.5581)
"""Optical density (R, G, B) of each stain: the reference of Macenko et al. (2009), as in their code."""
Picture = npt.NDArray[np.uint8]
INKS = {
    "green": (1.30, 0.28, 0.95),
    "blue": (1.55, 1.00, 0.18),
    "black": (1.60, 1.60, 1.50),
    "red": (0.12, 1.35, 1.25),
}
"""Optical density (R, G, B) of felt-tip pens; our choice, by eye."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Stain and light of one slide.

    Parameters
    ----------
    vectors
        (2, 3) optical density of full haematoxylin and eosin, with the strength of the stain.
    glass
        (3,) RGB of empty glass.
    ink
        (3,) optical density of the pen, or None without a mark.
    stroke_px
        (points, 2) the pen's path, level-0 pixels.
    pen_um
        Half the width of the pen.
    texture_px
        Where the slide begins in the random textures.
    """

    vectors: Field
    glass: Field
    ink: Field | None
    stroke_px: npt.NDArray[np.float64]
    pen_um: np.float32
    texture_px: tuple[int, int]


def draw_look(case: Case) -> Look:
    """Return how the slide of a case was stained, scanned and written on."""
    random, spread = case.random(2), case.config.stain_spread
    vectors = np.array([HAEMATOXYLIN, EOSIN]) + spread * random.normal(0, 0.045, (2, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strength = np.exp(spread * random.normal(0, 0.20, 2))
    glass = 240 + spread * (random.uniform(-12, 9) + random.normal(0, 1.5, 3))
    ink, stroke = None, np.empty((0, 2))
    if random.random() < case.config.pen_share:
        colour = list(INKS)[int(random.integers(len(INKS)))]
        ink = np.array(INKS[colour], dtype=np.float32) * np.float32(random.uniform(0.7, 1.1))
        stroke = _stroke(random, case.config.shape_px)
    pen_um = np.float32(random.uniform(30, 60) * min(case.config.shape_px) * case.config.mpp / 1500)
    y, x = random.integers(0, 2**16, 2)
    vectors = (vectors * strength[:, None]).astype(np.float32)
    return Look(vectors, glass.astype(np.float32), ink, stroke, pen_um, (int(y), int(x)))


def _stroke(random: np.random.Generator, shape_px: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return an arc along one side of the slide."""
    start, sweep = random.uniform(0, 2 * np.pi), random.uniform(0.6, 1.6)
    turn = np.linspace(start, start + sweep, 60)
    wobble = 1 + 0.03 * np.sin(3 * turn + random.uniform(0, 6)) + 0.015 * np.sin(11 * turn)
    radius = np.array(shape_px) * random.uniform(0.40, 0.46)
    path = np.array(shape_px) / 2 + wobble[:, None] * radius * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    return np.asarray(path)


def pen_ink(look: Look, depth_um: Field, origin_px: tuple[int, int]) -> Field:
    """(BLOCK_PX, BLOCK_PX) ink of a felt tip, 0 to 1: cloudy, fraying, darker where the stroke's edge dried."""
    start = look.texture_px[0] + origin_px[0], look.texture_px[1] + origin_px[1]
    cloud, mottle = textures().window(8.0, start), textures().window(3.0, start)
    ink = np.clip((depth_um + 2.0 * cloud + mottle) / 5, 0, 1)
    ink *= 0.78 + 0.06 * cloud + 0.04 * mottle + 0.22 * np.exp(-np.maximum(depth_um, 0) / 6)
    return np.asarray(ink)


def develop(look: Look, stains: tuple[Field, Field] | None, ink: Field | None, origin_px: tuple[int, int]) -> Picture:
    """(BLOCK_PX, BLOCK_PX, 3) uint8 RGB of one block, by the law of Beer and Lambert.

    Parameters
    ----------
    look
        Stain and light of the slide.
    stains
        Haematoxylin and eosin, or None where there is only glass.
    ink
        Pen, 0 to 1, or None.
    origin_px
        Corner of the block.
    """
    start = look.texture_px[0] + origin_px[0], look.texture_px[1] + origin_px[1]
    grain = 0.006 * textures().window(0.7, start)
    picture = np.empty((BLOCK_PX, BLOCK_PX, 3), dtype=np.uint8)
    for channel in range(3):
        if stains is None and ink is None:
            light = grain + 1
        else:
            density = np.zeros((BLOCK_PX, BLOCK_PX), dtype=np.float32)
            if stains is not None:
                density = stains[0] * look.vectors[0, channel] + stains[1] * look.vectors[1, channel]
            if ink is not None and look.ink is not None:
                density += ink * look.ink[channel]
            density -= grain
            light = np.exp(-density, out=density)
        light *= look.glass[channel]
        np.clip(light, 0, 255, out=light)
        picture[..., channel] = light + 0.5
    return picture


def stroke_distance_px(look: Look, shape: tuple[int, int]) -> Field | None:
    """(rows, columns) distance of each raster cell from the pen's path, or None without a mark."""
    if look.ink is None:
        return None
    path = np.concatenate(
        [np.linspace(a, b, 8, endpoint=False) for a, b in zip(look.stroke_px, look.stroke_px[1:], strict=False)]
    )
    cells = np.indices(shape).reshape(2, -1).T
    distance, _ = cKDTree(path).query((cells + 0.5) * STEP_PX, distance_upper_bound=1500)
    return np.asarray(np.minimum(distance, 1500.0).reshape(shape), dtype=np.float32)
