"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from napari_pathlupi.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only when all of it is written.

    It is written beside its place under a hidden name and renamed at the end; whatever stood there before stays until
    then, and stays for good when writing fails.

    Raises
    ------
    OutputError
        When the folder is missing or cannot be written, or the disk is full.
    """
    with whole_path(path) as draft, draft.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that appears only when all of it is written, text as UTF-8; errors as of `whole_file`."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Name a file to be written beside another, whose name it takes at the end, as of `whole_file`.

    Raises
    ------
    OutputError
        When the folder is missing or cannot be written, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path} ({reason}): choose a folder that exists and may be written.") from error
    finally:
        with suppress(OSError):
            draft.unlink()
