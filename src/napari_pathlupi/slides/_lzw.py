"""LZW and PackBits through libtiff, which damaged bytes cannot crash as they can the decoders of imagecodecs."""

import struct
from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt

LIBTIFF = (5, 32773)
"""TIFF 6.0, tag 259: LZW and PackBits."""


@dataclass(frozen=True, slots=True)
class Strip:
    """How segments of a page are packed; each is decoded as the one strip of a TIFF file in memory.

    Parameters
    ----------
    width, samples
        Columns, and values of a pixel.
    compression, predictor, fill_order
        TIFF tags 259, 317 and 266.
    """

    width: int
    samples: int
    compression: int
    predictor: int
    fill_order: int

    def decode(self, data: bytes, height: int) -> npt.NDArray[np.uint8]:
        """Return (height, width, samples) uint8; ValueError or RuntimeError when the bytes are damaged."""
        pixels = imagecodecs.tiff_decode(self._header(height, len(data)) + data)
        return np.asarray(pixels, np.uint8).reshape(height, self.width, self.samples)

    def _header(self, height: int, count: int) -> bytes:
        short, long = 3, 4
        tags = [
            (256, long, self.width),
            (257, long, height),
            (258, short, 8),  # one number stands for all samples
            (259, short, self.compression),
            (262, short, 1 if self.samples == 1 else 2),
            (266, short, self.fill_order),
            (273, long, 0),
            (277, short, self.samples),
            (278, long, height),
            (279, long, count),
            (284, short, 1),
            (317, short, self.predictor),
        ]
        start = 8 + 2 + 12 * len(tags) + 4
        entries = (
            struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)  # a short lies in the lower half
            for tag, kind, value in tags
        )
        return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entries) + bytes(4)
