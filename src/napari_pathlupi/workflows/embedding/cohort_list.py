"""Which slides a cohort is of: folders, globs, tables and addresses to a list that leaves nothing out silently."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import TableError
from napari_pathlupi.slides._slide import Format
from napari_pathlupi.slides._url import SlideUrl

SLIDE_COLUMNS = ("slide", "wsi")
"""What the column of a table that names the slides may be called; TRIDENT says "wsi"."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a cohort.

    Parameters
    ----------
    place
        Path or address, to the letter.
    mpp
        µm per pixel as a table states it, None where it does not.
    case
        To whom it belongs, "" where nobody says.
    problem
        Why it is no slide to be embedded, "" for one that is.
    """

    place: str
    mpp: float | None = None
    case: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        address = SlideUrl.of(self.place)
        return address.name if address else Path(self.place).name

    @property
    def shown(self) -> str:
        """The place without what follows a question mark of an address, which may be a secret."""
        return self.place.partition("?")[0] if SlideUrl.of(self.place) else self.place


def list_slides(places: Sequence[str], store: str = "") -> list[Entry]:
    """Return every file that the places name, each with why it is no slide where it is none.

    Parameters
    ----------
    places
        Slides, folders (searched to the bottom), globs (``**`` too), tables ending in .csv, and addresses, which may
        be globs or folders ending in a slash where their storage can be listed. A table has a column ``slide``, and
        may have ``mpp`` (µm per pixel) and ``case``; its relative paths begin at its own folder.
    store
        Where the features are kept: no slide, should it lie in one of the folders.

    Raises
    ------
    TableError
        When a table cannot be read or an address cannot be listed.
    """
    entries = [entry for place in places for entry in _entries(place)]
    seen = {_key(store): "the feature store itself"} if store else {}
    listed = []
    for entry in entries:
        problem = entry.problem or seen.get(_key(entry.place), "")
        listed.append(replace(entry, problem=problem))
        seen.setdefault(_key(entry.place), "named twice in this list")
    return listed


def _key(place: str) -> str:
    return place if SlideUrl.of(place) else os.path.realpath(place)


def _entries(place: str) -> Iterator[Entry]:
    path = Path(place)
    if SlideUrl.of(place):
        yield from _at_address(place)
    elif place.lower().endswith(".csv"):
        yield from _in_table(path)
    elif path.is_dir():
        yield from [Entry(place)] if _is_slide_folder(path) else _in_folder(path)
    elif glob.has_magic(place) and not path.exists():
        found = sorted(glob.glob(place, recursive=True))  # noqa: PTH207 (a pattern may begin at the root)
        yield from (entry for match in found for entry in _entries(match))
        if not found:
            yield Entry(place, problem="nothing has a name like this")
    else:
        yield Entry(place)


def _in_folder(folder: Path) -> Iterator[Entry]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        yield Entry(str(folder), problem=f"cannot be listed ({error.strerror})")
        return
    for path in inside:
        if path.is_dir() and _is_slide_folder(path):
            yield Entry(str(path))
        elif path.is_dir() and path.with_suffix(".mrxs").is_file():
            yield Entry(str(path), problem=f"part of {path.name}.mrxs")
        elif path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            yield Entry(str(path), problem="leads back to a folder that it is in")
        elif path.is_dir():
            yield from _in_folder(path)
        else:
            yield Entry(str(path), problem=_why_no_slide(path.name))


def _why_no_slide(name: str) -> str:
    known = _formats_of(name)
    if name.startswith("."):
        return "hidden"
    if not known:
        return "its ending is that of no slide format"
    return "a plain picture: name it itself to embed it" if all(one.whole_only for one in known) else ""


def _formats_of(name: str) -> list[Format]:
    return [one for one in formats.values() if name.lower().endswith(one.suffixes)]


def _is_slide_folder(path: Path) -> bool:
    """Whether a folder is one slide: an OME-Zarr, or the files of a DICOM slide."""
    if any(one.folders for one in _formats_of(path.name)):
        return True
    try:
        return any(file.suffix.lower() == ".dcm" for file in path.iterdir())
    except OSError:
        return False


def _in_table(path: Path) -> Iterator[Entry]:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read as a table ({error}): give a CSV with a column 'slide'.") from error
    column = next((name for name in SLIDE_COLUMNS if name in table), None)
    if column is None:
        raise TableError(f"{path.name} has no column 'slide', only {', '.join(table.columns)}: rename the right one.")
    for number, row in enumerate(table.to_dict("records"), start=2):
        place, mpp, case = row[column].strip(), _mpp(row.get("mpp", ""), path, number), row.get("case", "")
        if not place:
            yield Entry(str(path), mpp, case, f"line {number} names no slide")
        else:
            yield Entry(place if SlideUrl.of(place) else str(path.parent / place), mpp, case)


def _mpp(stated: str, table: Path, line: int) -> float | None:
    try:
        return float(stated) if stated.strip() else None
    except ValueError as error:
        raise TableError(f"line {line} of {table.name}: {stated!r} µm per pixel is no number.") from error


def _at_address(place: str) -> Iterator[Entry]:
    plain = place.partition("?")[0] if place.startswith(("http:", "https:")) else place
    if not (glob.has_magic(plain) or plain.endswith("/")):
        yield Entry(place)
        return
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(place)
        found = sorted(files.glob(root) if glob.has_magic(plain) else files.find(root))
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        name = type(error).__name__  # never the text of the error: it may hold the address and its secrets
        raise TableError(f"what lies at a {place.split(':')[0]}:// address cannot be listed ({name}).") from error
    if not found:
        yield Entry(place, problem="nothing has a name like this")
    for match in found:
        yield Entry(files.unstrip_protocol(match), problem=_why_no_slide(match.rpartition("/")[2]))
