"""YCbCr to RGB in whole numbers, rounded as OpenSlide rounds, so that the pixels are the same to the bit."""

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
_CHROMA = np.arange(256, dtype=np.int64) - 128
# the factors of libjpeg (jdcolor.c: 1.40200, 1.77200, 0.34414, 0.71414): red and blue in 16 bits, green rounded half up
_RED = ((91_881 * _CHROMA + 32_768) >> 16).astype(np.int16)
_BLUE = ((116_130 * _CHROMA + 32_768) >> 16).astype(np.int16)
_GREEN = ((-34_414 * _CHROMA[:, None] - 71_414 * _CHROMA[None] + 50_000) // 100_000).astype(np.int16)


def rgb_of(ycbcr: Picture) -> Picture:
    """Return (height, width, 3) RGB of a YCbCr picture of full range."""
    luma, cb, cr = (ycbcr[..., channel] for channel in range(3))
    answer = np.empty((*luma.shape, 3), np.int16)
    answer[..., 0] = luma + _RED[cr]
    answer[..., 1] = luma + _GREEN[cb, cr]
    answer[..., 2] = luma + _BLUE[cb]
    return answer.clip(0, 255).astype(np.uint8)
