"""Between flags on a raster and the polygons around them."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import shapely
from contourpy import FillType, contour_generator
from shapely.geometry.base import BaseGeometry

Flags = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def outlines(flags: Flags, step: tuple[float, float]) -> Iterator[tuple[tuple[int, int], BaseGeometry]]:
    """Yield a cell in each connected part of a raster, and the polygon with holes around the part, as (x, y).

    The outline runs midway between the centres of cells that are set and of those that are not (marching squares,
    Lorensen and Cline, Computer Graphics 21 (1987) 163-169), so that `filled` gives the same flags again. Parts that
    touch at a corner may be one polygon or two.

    Parameters
    ----------
    flags
        (rows, columns); the raster begins at 0.
    step
        Height and width of a cell.
    """
    height = np.pad(flags, 1).astype(np.float64)
    generator = contour_generator(z=height, name="serial", fill_type=FillType.OuterOffset)
    points, offsets = cast("tuple[list[FloatArray], list[Any]]", generator.filled(0.5, np.inf))
    for corners, ends in zip(points, offsets, strict=True):
        x, y = (corners[0] - 1).tolist()  # in cells, between the centre of one that is set and of one that is not
        cell = next(
            (row, column)
            for row in {int(np.floor(y)), int(np.ceil(y))}
            for column in {int(np.floor(x)), int(np.ceil(x))}
            if 0 <= row < flags.shape[0] and 0 <= column < flags.shape[1] and flags[row, column]
        )
        rings = [(corners[a:b] - 0.5) * step[::-1] for a, b in pairwise(ends)]
        yield cell, shapely.simplify(shapely.Polygon(rings[0], rings[1:]), 0)


def filled(areas: Iterable[BaseGeometry], shape: tuple[int, int], step: tuple[float, float]) -> Flags:
    """(rows, columns) whether the centre of a cell lies in one of the polygons.

    Parameters
    ----------
    areas
        Polygons, x and y as shapely has them; one that crosses itself is first made valid.
    shape
        Rows and columns of the raster, which begins at 0.
    step
        Height and width of a cell.
    """
    flags = np.zeros(shape, bool)
    for area in areas:
        valid = area if shapely.is_valid(area) else shapely.make_valid(area)
        rings = shapely.get_rings(shapely.get_parts(shapely.get_parts(valid)))
        _fill(flags, *_edges(np.asarray(rings), step))
    return flags


def _edges(rings: npt.NDArray[np.object_], step: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """(edges, 2) first and last corner (row, column) of every edge, counted so that the centre of cell i is at i."""
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    corners = corners[:, ::-1] / step - 0.5
    same = ring[1:] == ring[:-1]
    return corners[:-1][same], corners[1:][same]


def _fill(flags: Flags, begin: FloatArray, end: FloatArray) -> None:
    """Set the cells between an odd and the next even crossing of their row of centres with the edges."""
    top, bottom = np.minimum(begin[:, 0], end[:, 0]), np.maximum(begin[:, 0], end[:, 0])
    first = np.ceil(top).clip(0, len(flags)).astype(np.int64)
    count = np.ceil(bottom).clip(0, len(flags)).astype(np.int64) - first
    if not count.any():
        return
    edge = np.repeat(np.arange(len(first)), count)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    slope = (end[:, 1] - begin[:, 1])[edge] / (end[:, 0] - begin[:, 0])[edge]
    column = np.ceil(begin[edge, 1] + (row - begin[edge, 0]) * slope).clip(0, flags.shape[1]).astype(np.int64)
    over, left = int(row.min()), int(column.min())
    shape = int(row.max()) + 1 - over, flags.shape[1] + 1 - left
    crossings = np.bincount((row - over) * shape[1] + column - left, minlength=shape[0] * shape[1]).reshape(shape)
    inside = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    flags[over : over + shape[0], left:] |= inside
