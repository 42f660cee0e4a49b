"""What a file holds to choose from: focal planes, scenes, colours."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from napari_pathlupi.errors import SettingsError, SlideError

AS_STORED, SRGB = COLOURS = ("as stored", "srgb")
"""Colours as the file has them, or turned by its ICC profile into those of a screen (IEC 61966-2-1)."""
BESIDE = re.compile(r"(?<![a-z])(label|macro|overview|thumbnail|barcode)[ _]?(image)?(?![a-z])", re.IGNORECASE)
"""Names of pictures that are no scene: they show the label, or the whole glass (our choice)."""
MOST_TOLD = 12
"""Planes or scenes that a message lists (our choice)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which picture of a file is read, and in which colours; the default is what a file shows unless asked.

    Parameters
    ----------
    plane, scene
        Index of the focal plane and of the scene.
    colour
        "as stored" or "srgb".
    """

    plane: int = 0
    scene: int = 0
    colour: str = AS_STORED

    def __post_init__(self) -> None:
        if self.colour not in COLOURS:
            raise SettingsError(f"colours {self.colour!r} are not known: {' or '.join(map(repr, COLOURS))} are.")
        for name in ("plane", "scene"):
            number = getattr(self, name)
            if not hasattr(number, "__index__"):
                raise SettingsError(f"{name} {number!r} cannot be: whole numbers from 0 on can.")
            object.__setattr__(self, name, int(number))  # NumPy's own cannot be written to JSON

    def stated(self) -> dict[str, Any]:
        """Return what differs from the default, as JSON values."""
        default = asdict(Choice())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def fingerprint(self, content: str) -> str:
        """Return the name of what is read: that of the file's content for the default, another for any other choice."""
        stated = self.stated()
        words = f"{content} {json.dumps(stated)}"
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest() if stated else content


DEFAULT = Choice()


@dataclass(frozen=True, slots=True)
class Scene:
    """One of several pictures in a file, each a slide of its own.

    Parameters
    ----------
    name
        What the file calls it, or "".
    shape_px0
        Height and width at its finest level.
    """

    name: str
    shape_px0: tuple[int, int]

    def __str__(self) -> str:
        size = f"{self.shape_px0[1]:,} × {self.shape_px0[0]:,} px"
        return f"{self.name}, {size}" if self.name else size


@dataclass(frozen=True, slots=True)
class Offer:
    """What a file holds to choose from; entry 0 of each is what is read unless asked.

    Parameters
    ----------
    scenes
        The pictures: never a label, a macro image or a thumbnail.
    planes_um
        Depth of each focal plane of the scene that is read, or None where the file does not say.
    icc_profile
        How the stored colours are meant, or nothing.
    """

    scenes: tuple[Scene, ...]
    planes_um: tuple[float | None, ...] = (None,)
    icc_profile: bytes = b""

    def must_hold(self, choice: Choice, name: str) -> None:
        """Refuse a choice that is not there, with what is.

        Raises
        ------
        SlideError
            Naming the file ``name``.
        """
        must_be_one_of("scene", choice.scene, self.scenes, name)
        must_be_one_of("focal plane", choice.plane, [depth_words(depth) for depth in self.planes_um], name)
        if choice.colour == SRGB and not self.icc_profile:
            raise SlideError(f"{name} has no colour profile (ICC) that can be read: take its colours as stored.")


def must_be_one_of(what: str, index: int, there: Sequence[object], name: str) -> None:
    """Refuse an index that is not there, with what is.

    Raises
    ------
    SlideError
        Naming the file ``name``.
    """
    if not 0 <= index < len(there):
        told = [f"{i} ({words})" if str(words) else str(i) for i, words in enumerate(there[:MOST_TOLD])]
        more = f" and so on up to {len(there) - 1}" if len(there) > MOST_TOLD else ""
        raise SlideError(f"{name} has no {what} {index}: it holds {', '.join(told)}{more}.")


def depth_words(depth_um: float | None) -> str:
    """Return the depth of a plane in words, or "" where it is not known."""
    return "" if depth_um is None else f"{depth_um:g} µm"
