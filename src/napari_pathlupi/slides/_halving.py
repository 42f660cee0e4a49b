"""Whether a slide is smooth enough to be halved by the JPEG decoder before pixels are averaged."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from napari_pathlupi.slides._resample import Picture, resample_area

GOOD_DB = 45.0
"""Peak signal-to-noise ratio from which two ways of averaging count as one (our choice: 1.4 grey levels rms)."""
PLACES = np.linspace(0.35, 0.95, 7)
"""Which tiles are tried: those at these shares of all bytes, the shortest tile first, so glass hardly counts."""
MARGIN_PX = 8.35
"""Where averaging begins in a tile: clear of its edges, and at a fraction of a pixel."""


def typical_tiles(counts: npt.NDArray[np.integer]) -> list[tuple[int, int]]:
    """Return row and column of a few tiles, from usual to the most detailed, by their compressed bytes (our choice)."""
    order = np.argsort(counts, axis=None)
    running = np.cumsum(np.maximum(counts.ravel()[order], 0), dtype=np.int64)
    if running[-1] == 0:
        return []
    chosen = order[np.searchsorted(running, PLACES * running[-1])]
    return [divmod(int(index), counts.shape[1]) for index in np.unique(chosen)]


def agreement_db(pairs: Iterable[tuple[Picture, Picture]], halvings: int, ratio: float) -> float:
    """Return how well averaging halved tiles agrees with averaging the tiles themselves: PSNR over all, in dB.

    Parameters
    ----------
    pairs
        Tiles and the same tiles halved by the decoder.
    halvings
        How often those are halved.
    ratio
        Pixels of a tile per pixel of the answer.
    """
    factor = 2**halvings
    squares = []
    for whole, halved in pairs:
        count = int((min(whole.shape[:2]) - 2 * MARGIN_PX - factor) / ratio)
        shape = count, count
        if count > 0:
            exact = resample_area(whole, (MARGIN_PX, MARGIN_PX), (ratio, ratio), shape)
            start, step = MARGIN_PX / factor, ratio / factor
            quick = resample_area(halved, (start, start), (step, step), shape, reduced=True)
            squares.append(((exact.astype(np.float64) - quick) ** 2).mean())
    if not squares:
        return 0.0
    return float(10 * np.log10(255**2 / max(np.mean(squares), 1e-12)))
