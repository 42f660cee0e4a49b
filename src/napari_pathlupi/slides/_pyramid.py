"""A slide as lazy arrays, every octave from level 0 down to a thumbnail."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import dask.array as da

    from napari_pathlupi.slides._slide import Slide

COARSEST_PX = 1024
"""The pyramid goes on until its longer side is no larger: napari reads its coarsest level whole."""
CHUNK_PX = 512
"""Side of a chunk, about: napari fetches whole chunks, so this is also the margin that it reads ahead (our choice)."""


class OctaveView:
    """One octave of a slide as an array: indexing it with slices reads exactly those pixels.

    Parameters
    ----------
    slide
        The slide.
    level, halvings
        Stored level and how often it is halved.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, slide: "Slide", level: int, halvings: int) -> None:
        self.slide, self.level, self.halvings = slide, level, halvings
        height, width = slide.levels[level].shape_px
        self.shape = (height >> halvings, width >> halvings, 3)

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        rows, columns = key[0].indices(self.shape[0]), key[1].indices(self.shape[1])
        shape = rows[1] - rows[0], columns[1] - columns[0]
        return self.slide.read_level(self.level, (rows[0], columns[0]), shape, self.halvings)


def octaves(slide: "Slide") -> list[tuple[int, int]]:
    """Return (level, halvings) from fine to coarse: each stored level, and what is missing between and below."""
    steps = []
    for index, level in enumerate(slide.levels):
        coarser = slide.levels[index + 1].downsample if index + 1 < len(slide.levels) else float("inf")
        halvings = 0
        while level.downsample * 2**halvings * 1.5 <= coarser:
            shape = [side >> halvings for side in level.shape_px]
            if min(shape) < 1:
                break
            steps.append((index, halvings))
            if coarser == float("inf") and max(shape) <= COARSEST_PX:
                break
            halvings += 1
    return steps


def lazy_pyramid(slide: "Slide", tile_px: int) -> "list[da.Array]":
    """Return the octaves as Dask arrays (height, width, 3) uint8, finest first; chunks hold whole stored tiles."""
    import dask.array as da

    chunk = tile_px * max(1, round(CHUNK_PX / tile_px))
    pyramid = []
    for level, halvings in octaves(slide):
        view = OctaveView(slide, level, halvings)
        pyramid.append(
            da.from_array(
                view,
                chunks=(chunk, chunk, 3),
                name=f"slide-{slide.fingerprint}-{slide.opening}-{level}-{halvings}",
                meta=np.empty((0, 0, 0), np.uint8),
                inline_array=True,
                asarray=False,
                fancy=False,
            )
        )
    return pyramid
