"""The size of a pixel as a person stated it, remembered by the content of the slide.

What is kept is a fingerprint and a number: no name and no path, which may tell who the patient is.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.settings import config_folder
from napari_pathlupi.errors import OutputError, SettingsError, SlideError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.slides._choice import DEFAULT, Choice

REMEMBERED = "stated by the user, remembered"
"""Source of a scale that was stated in an earlier run."""
AGREE = 1e-3
"""Two scales that differ by a smaller share are the same (our choice)."""


def remembered_mpp(fingerprint: str) -> Mpp | None:
    """Return what was stated for a slide of this content in an earlier run, or None.

    Raises
    ------
    SettingsError
        When what is remembered cannot be read.
    """
    value = _stated().get(fingerprint)
    return None if value is None else Mpp(value, value, REMEMBERED)


def remember_mpp(fingerprint: str, mpp: float) -> None:
    """Keep what was stated for a slide of this content; what was stated of it before is forgotten.

    Raises
    ------
    SettingsError
        When what is remembered already cannot be read.
    OutputError
        When nothing can be written to the settings folder.
    """
    _keep(_stated() | {fingerprint: float(mpp)})


def forget_mpp(slide: Slide) -> str:
    """Forget what was stated for a slide of this content, and return a sentence about it.

    Raises
    ------
    SettingsError
        When what is remembered cannot be read.
    OutputError
        When nothing can be written to the settings folder.
    """
    stated = _stated()
    forgotten = stated.pop(slide.fingerprint, None)
    if forgotten is None:
        return f"nothing was remembered for {slide.path.name}."
    _keep(stated)
    return f"the {forgotten:.4g} µm/px that you stated for {slide.path.name} are forgotten."


def _keep(stated: dict[str, float]) -> None:
    try:
        config_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{config_folder()} cannot be made ({error.strerror}).") from error
    write_whole(_file(), json.dumps({"version": 1, "mpp": stated}, indent=1))


def recall_mpp(slide: Slide) -> str:
    """Give a slide that does not say how large a pixel is what was stated of it earlier.

    What the file itself says is never replaced.

    Returns
    -------
    str
        A sentence when something else is remembered than what the file says, otherwise "".

    Raises
    ------
    SettingsError
        When what is remembered cannot be read.
    """
    remembered, own = remembered_mpp(slide.fingerprint), slide.frame.mpp
    if remembered is None:
        return ""
    if own is None:
        slide.frame = replace(slide.frame, mpp=remembered)
        return ""
    if max(abs(remembered.y / own.y - 1), abs(remembered.x / own.x - 1)) < AGREE:
        return ""
    return (
        f"{slide.path.name} says {own.mean:.4g} µm/px ({own.source}), which is used; earlier you stated "
        f"{remembered.mean:.4g}: state it again to use that, or forget it with `pathlupi info SLIDE --forget-mpp`."
    )


def open_at_scale(path: str | Path, mpp: float | None = None, choice: Choice = DEFAULT) -> tuple[Slide, str]:
    """Return a slide with the scale that a person states now or stated earlier, and a sentence about it or "".

    Parameters
    ----------
    path
        As of `napari_pathlupi.slides.open_slide`.
    mpp
        µm per pixel as stated now; it is used and remembered, also against what the file says.
    choice
        Which plane and scene, in which colours.

    Raises
    ------
    SlideError, SettingsError
        When the slide cannot be opened, or what is remembered cannot be read.
    """
    slide = open_slide(path, mpp, **asdict(choice))
    try:
        if mpp is None:
            return slide, recall_mpp(slide)
        remember_mpp(slide.fingerprint, mpp)
    except OutputError as error:
        return slide, f"{mpp:g} µm/px is used, but cannot be remembered: {error}"
    except SettingsError:
        slide.close()
        raise
    return slide, ""


def _file() -> Path:
    return config_folder() / "stated-scales.json"


def _stated() -> dict[str, float]:
    try:
        kept: Any = json.loads(_file().read_bytes())
        stated = {str(name): float(value) for name, value in kept["mpp"].items()}
        for value in stated.values():
            Mpp(value, value, REMEMBERED)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SlideError) as error:
        raise SettingsError(
            f"{_file()}, which keeps the scales that you stated, cannot be read ({error}): mend or delete it."
        ) from error
    return stated
