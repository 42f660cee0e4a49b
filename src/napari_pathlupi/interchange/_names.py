"""What other tools call our patch encoders."""

import re

from napari_pathlupi.catalogue import patch_encoders

ELSEWHERE = {
    "conch": "conch-v1",
    "conch1_5": "conch-v1-5",
    "lunit-dino-s8": "lunit-vits8",
    "midnight": "midnight-12k",
    "uni2": "uni2-h",
}
"""Names of STAMP and LazySlide that are no spelling of ours or TRIDENT's."""


def same_name(one: str, other: str) -> bool:
    """Return whether two names mean one encoder."""
    return encoder_named(one) == encoder_named(other)


def encoder_named(name: str) -> str:
    """Return the catalogue's name of an encoder, or the name as it is where the catalogue has none.

    Case, hyphens, underscores and dots do not count, and aliases do.
    """
    plain = _plain(name)
    for known, entry in patch_encoders.items():
        if plain in {_plain(known), *map(_plain, entry.aliases)}:
            return known
    return next((ours for theirs, ours in ELSEWHERE.items() if plain == _plain(theirs)), name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
