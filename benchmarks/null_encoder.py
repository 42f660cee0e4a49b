"""What every party of `embed.py` encodes with where the encoder is to cost nothing: means of squares of 16 x 16 px."""

import numpy as np
import torch

SIDE_PX, SQUARE_PX = 256, 16
DIM = 3 * (SIDE_PX // SQUARE_PX) ** 2


def null_encoder(tiles: torch.Tensor) -> torch.Tensor:
    """(tiles, 256, 256, 3) uint8 on the CPU -> (tiles, 768) float32; rows are summed first, as they lie in memory."""
    count = SIDE_PX // SQUARE_PX
    pixels = tiles.numpy().reshape(len(tiles), count, SQUARE_PX, SIDE_PX * 3)
    rows = np.add.reduce(pixels, axis=2, dtype=np.uint16).reshape(len(tiles), count, count, SQUARE_PX, 3)
    sums = np.add.reduce(rows, axis=3, dtype=np.uint32)
    return torch.from_numpy(sums.reshape(len(tiles), DIM).astype(np.float32) / SQUARE_PX**2)
