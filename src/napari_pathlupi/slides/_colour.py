"""Colours of a scanner -> colours of a screen, through an ICC profile."""

import io
from collections.abc import Callable

import numpy as np

from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._resample import Picture


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
