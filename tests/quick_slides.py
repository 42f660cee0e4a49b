"""Small slides of pink tissue beside glass, each of its own content, written in milliseconds."""

from pathlib import Path

import numpy as np

from addressed import write_pyramid

PX = 256
"""Side of a tile of the default encoder, whose scale the slides have."""


def write_quick_slide(path: Path, seed: int, rows: int = 3, columns: int = 3) -> Path:
    """``rows`` x ``columns`` tiles of tissue at 0.5 µm/px; Aperio's header states it where the ending is .svs."""
    rng = np.random.default_rng(seed)
    picture = np.full(((rows + 1) * PX, (columns + 1) * PX, 3), 243, np.uint8)
    grain = rng.normal(0, 14, (PX, PX, 3))
    for row in range(rows):
        for column in range(columns):
            colour = rng.normal((205, 140, 180), 8)
            top, left = row * PX, column * PX
            picture[top : top + PX, left : left + PX] = (colour + grain).clip(0, 255)
    return write_pyramid(path, [picture], tile=256)
