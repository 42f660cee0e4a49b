"""The bytes of a slide behind an address, by ranges, through fsspec."""

import io
import sys
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any, BinaryIO, cast

from napari_pathlupi.errors import MissingExtraError, SlideError
from napari_pathlupi.slides._slide import fingerprint_from
from napari_pathlupi.slides._source import Source
from napari_pathlupi.slides._url import SlideUrl

BLOCK_BYTES, BLOCKS = 256 * 1024, 128
"""What is asked for at once, about a row of neighbouring tiles, and how many are kept: 32 MiB (our choice)."""
PATIENCE_S = 20.0
"""Seconds without an answer after which a web server is given up (our choice)."""


class RemoteSource(Source):
    """A file behind an address.

    Parameters
    ----------
    address
        What fsspec opens.

    Raises
    ------
    SlideError
        When it cannot be reached or does not serve ranges of bytes.
    MissingExtraError
        When the library for this kind of address is absent.
    """

    def __init__(self, address: SlideUrl) -> None:
        self.name = address.name
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        try:
            self._files, self._place = _reach(address)
            self.size = int(self._files.info(self._place)["size"])
            self._must_serve_ranges()
        except ImportError as error:
            raise MissingExtraError(
                f"reading {self.name} over {address.scheme}:// needs the extra 'remote': "
                "pip install 'napari-pathlupi[remote]'."
            ) from error
        except _faults() as error:
            raise self._lost(error) from error

    def _must_serve_ranges(self) -> None:
        with self._files.open(self._place, "rb", block_size=2**16, cache_type="none") as file:
            try:
                file.seek(self.size - 1)
                file.read(1)
            except ValueError as error:
                raise SlideError(
                    f"the server of {self.name} sends whole files only, not ranges of bytes: download the slide."
                ) from error

    @cached_property
    def fingerprint(self) -> str:
        def read(places: Sequence[tuple[int, int]]) -> list[bytes]:
            starts, ends = [start for start, _ in places], [start + count for start, count in places]
            return cast(
                list[bytes], self._files.cat_ranges([self._place] * len(places), starts, ends, on_error="raise")
            )

        try:
            return fingerprint_from(self.size, read)
        except _faults() as error:
            raise self._lost(error) from error

    def file(self) -> BinaryIO:
        return cast(BinaryIO, _RemoteFile(self))

    def read(self, offset: int, count: int) -> bytes:
        first, last = offset // BLOCK_BYTES, (offset + count - 1) // BLOCK_BYTES
        with self._lock:
            held = {block: self._blocks[block] for block in range(first, last + 1) if block in self._blocks}
            for block in held:
                self._blocks.move_to_end(block)
        lacking = [block for block in range(first, last + 1) if block not in held]
        if lacking:
            held |= self._fetch(lacking[0], lacking[-1])
        data = b"".join(held[block] for block in range(first, last + 1))
        start = offset - first * BLOCK_BYTES
        if len(data) < start + count:
            raise SlideError(f"{self.name} ends in the middle of a tile: copy it again.")
        return data[start : start + count]

    def _fetch(self, first: int, last: int) -> dict[int, bytes]:
        start, end = first * BLOCK_BYTES, min((last + 1) * BLOCK_BYTES, self.size)
        try:
            data: bytes = self._files.cat_file(self._place, start=start, end=end)
        except _faults() as error:
            raise self._lost(error) from error
        if len(data) != end - start:
            raise SlideError(f"the server of {self.name} sent {len(data):,} of {end - start:,} bytes: try again.")
        fetched = {first + i: data[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES] for i in range(last - first + 1)}
        with self._lock:
            self._blocks.update(fetched)
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        return fetched

    def _lost(self, error: BaseException) -> SlideError:
        # never the text of the error: it may hold the address and its secrets
        status = getattr(error, "status", None)
        words = f"the server answered {status}" if status else type(error).__name__
        return SlideError(
            f"{self.name} cannot be read from where it lies ({words}): check the address and the network."
        )

    def close(self) -> None:
        with self._lock:
            self._blocks.clear()


class _RemoteFile(io.RawIOBase):
    """The source as a file, for tifffile."""

    def __init__(self, source: RemoteSource) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._source.size - self._at))
        if count:
            buffer[:count] = self._source.read(self._at, count)
        self._at += count
        return count


def _reach(address: SlideUrl) -> tuple[Any, str]:
    from fsspec import available_protocols
    from fsspec.core import url_to_fs

    for scheme in (part.split("://", 1)[0] for part in address.url.split("::") if "://" in part):
        if scheme not in available_protocols():
            raise SlideError(
                f"{address.name} cannot be read: {scheme}:// is no kind of address that is known here; "
                "https://, s3://, gs:// and zip:// are."
            )
    options: dict[str, Any] = {}
    if address.scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_S, sock_read=PATIENCE_S)
        options = {"client_kwargs": {"timeout": timeout}}
    files, place = url_to_fs(address.url, **options)
    return files, place


def _faults() -> tuple[type[Exception], ...]:
    """What fsspec and the libraries below it raise when an address cannot be read."""
    known = (("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError"), ("gcsfs.retry", "HttpError"))
    loaded = [getattr(sys.modules[library], name) for library, name in known if library in sys.modules]
    return (
        OSError,
        ValueError,
        LookupError,
        EOFError,
        TimeoutError,
        RuntimeError,
        zlib.error,
        zipfile.BadZipFile,
        *loaded,
    )
