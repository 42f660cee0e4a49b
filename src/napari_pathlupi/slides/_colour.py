"""Colours of a scanner -> colours of a screen, through an ICC profile."""

import io
from collections.abc import Callable

import numpy as np

from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._resample import Picture


def over_white(rgba: Picture, multiplied: bool = False) -> Picture:
    """Return (height, width, 3) of a picture with transparency as it looks on white, rounded to nearest.

    Parameters
    ----------
    rgba
        (height, width, 4).
    multiplied
        Whether its colours are multiplied by their opacity already (TIFF 6.0, tag 338: associated alpha).
    """
    alpha = rgba[..., 3:].astype(np.uint16)
    if alpha.min(initial=255) == 255:
        return rgba[..., :3]
    if multiplied:
        return np.asarray(np.minimum(rgba[..., :3] + (255 - alpha), 255), np.uint8)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def srgb_from(profile: bytes, name: str) -> Callable[[Picture], Picture]:
    """Return what turns stored RGB pixels into sRGB (IEC 61966-2-1): LittleCMS, in the intent that the profile names.

    A tile is turned as it is decoded, so averages within the decoder are of stored colours and all others of sRGB
    (our choice): decoding at a half or a quarter stays possible, and a kept tile is turned once. The function is safe
    from several threads.

    Parameters
    ----------
    profile
        The ICC profile, of RGB.
    name
        The file's, for messages.

    Raises
    ------
    SlideError
        When the profile is damaged, or of other colours than RGB.
    """
    from PIL import Image, ImageCms

    try:
        stored = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(stored))
        transform = ImageCms.buildTransform(stored, ImageCms.createProfile("sRGB"), "RGB", "RGB", intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        words = str(error).splitlines()[0] if str(error) else "damaged"
        raise SlideError(
            f"the colour profile in {name} cannot be used ({words}): take its colours as stored."
        ) from error

    def turn(picture: Picture) -> Picture:
        return np.asarray(transform.apply(Image.fromarray(picture)))

    return turn
