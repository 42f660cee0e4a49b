"""The three files of a model, from wherever it is offered: a folder, a zip, an address, the Hugging Face Hub."""

import http.client
import os
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from napari_pathlupi.bundle import CARD, GOLDEN, WEIGHTS
from napari_pathlupi.errors import BundleError

FILES = (CARD, WEIGHTS, GOLDEN)
MOST_BYTES = 8 << 30
"""What a model may weigh, packed or unpacked (our choice): the largest slide encoders have a tenth of it."""
MOST_NAMES = 10_000
TIMEOUT_S = 60
_PART = 1 << 20


def fetch(place: str, to: Path) -> None:
    """Put the three files of a model into a folder that exists.

    Parameters
    ----------
    place
        A folder, a .zip file, the address of one (http, https), or ``hf://owner/name`` (``@revision`` behind it, a
        folder of the repository after a slash).
    to
        Where to. Only the three files arrive, under their own names, whatever the source calls its others.

    Raises
    ------
    BundleError
        When there is no model there, the connection was cut, or the source is too large or made to do harm.
    """
    if place.startswith("hf://"):
        for name in FILES:
            _download(_on_the_hub(place, name), to / name)
    elif place.startswith(("http://", "https://")):
        _download(place, to / "fetched.zip")
        _unpack(to / "fetched.zip", to)
        (to / "fetched.zip").unlink()
    elif "://" in place:
        raise BundleError(
            f"models are not fetched from {place.split(':')[0]}:// addresses: give a folder, a zip, https or hf://."
        )
    elif zipfile.is_zipfile(place):
        _unpack(Path(place), to)
    else:
        _copy(Path(place), to)


def _copy(folder: Path, to: Path) -> None:
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        own = f" Its model is {folder / 'model'}." if (folder / "model" / CARD).is_file() else ""
        raise BundleError(f"{folder} is no model: it is no zip, or holds no {', '.join(missing)}.{own}")
    for name in FILES:
        with (folder / name).open("rb") as source, (to / name).open("wb") as file:
            _pour(source, file, f"{folder}")


def _unpack(path: Path, to: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for name, inside in _members(archive).items():
                with archive.open(inside) as source, (to / name).open("wb") as file:
                    _pour(source, file, path.name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise BundleError(f"{path.name} is damaged or no zip that can be read ({error}): fetch it again.") from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The three files of the one folder that holds a card."""
    infos = archive.infolist()
    if len(infos) > MOST_NAMES or sum(info.file_size for info in infos) > MOST_BYTES:
        raise BundleError(f"the zip states {len(infos)} files or more than {MOST_BYTES >> 30} GiB: it is no model.")
    for info in infos:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in info.filename or (info.external_attr >> 28) == 0xA:
            raise BundleError(f"the zip holds {info.filename!r}, which leads out of it: nothing was unpacked.")
    cards = [PurePosixPath(info.filename).parent for info in infos if PurePosixPath(info.filename).name == CARD]
    found = {info.filename: info for info in infos}
    if len(cards) != 1 or not all(str(cards[0] / name) in found for name in FILES):
        raise BundleError(f"the zip holds {len(cards)} models that are whole: it must hold {', '.join(FILES)} once.")
    return {name: found[str(cards[0] / name)] for name in FILES}


def _on_the_hub(place: str, name: str) -> str:
    parts = place.removeprefix("hf://").strip("/").split("/")
    if len(parts) < 2 or not all(parts):
        raise BundleError(f"{place} names no repository: write hf://owner/name.")
    repository, _, revision = parts[1].partition("@")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    inside = "/".join([*parts[2:], name])
    return f"{endpoint}/{parts[0]}/{repository}/resolve/{revision or 'main'}/{inside}?download=true"


def _download(address: str, path: Path) -> None:
    with _told(address), urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
        stated = int(answer.headers.get("Content-Length") or 0)
        if stated > MOST_BYTES:
            raise BundleError(f"{_shown(address)} states {stated:,} bytes, more than {MOST_BYTES >> 30} GiB: no model.")
        with path.open("wb") as file:
            got = _pour(answer, file, _shown(address))
    if got < stated:
        raise BundleError(f"{_shown(address)} was cut off after {got:,} of {stated:,} bytes: try again.")


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn what a connection raises into one sentence."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            gated = "; it is given out after an agreement: download it by hand" if error.code in (401, 403) else ""
        raise BundleError(f"{_shown(address)} cannot be had ({error.code} {error.reason}){gated}.") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", None) or error or type(error).__name__
        raise BundleError(f"{_shown(address)} cannot be had, or was cut off ({why}): try again.") from error


def _shown(address: str) -> str:
    """The address without what follows a question mark, which may be a secret."""
    return address.partition("?")[0]


def _pour(source: IO[bytes], file: IO[bytes], name: str) -> int:
    """Copy, and refuse what does not end in time."""
    count = 0
    while part := source.read(_PART):
        count += len(part)
        if count > MOST_BYTES:
            raise BundleError(f"{name} is larger than {MOST_BYTES >> 30} GiB: it is no model.")
        file.write(part)
    return count
