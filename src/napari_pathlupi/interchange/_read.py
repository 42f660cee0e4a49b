"""Bags of features from files of whatever tool."""

from pathlib import Path

from napari_pathlupi.catalogue import readers
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.errors import FeaturesError, SettingsError
from napari_pathlupi.interchange._bag import Assembly
from napari_pathlupi.interchange._told import Reader, Stated


def read_bag(
    path: str | Path, frame: SlideFrame | None = None, stated: Stated | None = None, fingerprint: str = ""
) -> FeatureBag:
    """Return the features in a file of TRIDENT, CLAM, STAMP, Slideflow, LazySlide, AnnData or plain HDF5, as a bag.

    The tool is recognised by what is in the file, not by its name. Encoder, length of the vectors, size of the tiles
    and the slide are checked against each other; what neither the file nor ``stated`` says is asked for.

    Parameters
    ----------
    path
        File, or folder of a zarr store.
    frame
        Of the slide that the features were made from; without it the slide's size and scale are not known from
        anywhere but the file and ``stated``.
    stated
        What the file does not say.
    fingerprint
        Of the slide, "" when it is not there.

    Raises
    ------
    UnstatedError
        When something is missing that nobody says; the message names it and the flag that gives it.
    MismatchError
        When file, slide and what was stated contradict each other.
    FeaturesError
        When the file is damaged or of no known kind.
    """
    path, stated = Path(path), stated or Stated()
    if stated.unit not in ("", "px", "um"):
        raise SettingsError(f"coordinates in {stated.unit!r} are not known: give --unit px (of level 0) or um.")
    if stated.scale not in ("", "nominal"):
        raise SettingsError(f"a scale {stated.scale!r} is not known: give --scale nominal, or nothing.")
    if not path.exists():
        raise FeaturesError(f"there is no file {path}: check the name.")
    told = reader_of(path).read(path, stated)
    return Assembly(path, told, stated, frame, fingerprint).bag()


def reader_of(path: Path) -> Reader:
    """Return the entry of the catalogue that knows a file.

    Raises
    ------
    FeaturesError
        When none does.
    """
    known: list[Reader] = sorted(readers.values(), key=lambda reader: reader.rank)
    found = next((reader for reader in known if reader.knows(path)), None)
    if found is None:
        titles = ", ".join(reader.title for reader in known)
        raise FeaturesError(f"{path.name} holds no features that can be read (known: {titles}), or is damaged.")
    return found
