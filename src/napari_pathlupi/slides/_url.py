"""The address of a slide that is no file of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

_SCHEME = re.compile(r"(^|::)([A-Za-z][A-Za-z0-9+.-]+):[/\\]+")


@dataclass(frozen=True, slots=True)
class SlideUrl:
    """What fsspec opens, with the parts of a path that a slide needs.

    Parameters
    ----------
    url
        For instance ``https://host/slide.svs?token=…``, ``s3://bucket/slide.svs`` or
        ``zip://folder/slide.svs::https://host/slides.zip``. It may hold secrets: messages give `name` only.
    """

    url: str

    @classmethod
    def of(cls, path: "str | PurePath | SlideUrl") -> Self | None:
        """Return the address that a text states, or None when it states a file of this machine.

        A `pathlib.Path` of an address has lost a slash, and on Windows turned the others; it gets them back.
        """
        text = str(path)
        if not _SCHEME.match(text) or text.startswith("file:"):
            return None
        if isinstance(path, PureWindowsPath):
            text = text.replace("\\", "/")
        return cls(_SCHEME.sub(r"\1\2://", text))

    @property
    def scheme(self) -> str:
        """How it is reached, for messages."""
        return self.url.split("://", 1)[0]

    @property
    def name(self) -> str:
        """The slide's own name, without folders and what follows a question mark."""
        return PurePosixPath(self.url.split("::")[0].split("?")[0].split("#")[0]).name or "slide"

    @property
    def parent(self) -> Path:
        """Where results are offered to lie: the working folder, because nothing can be written beside the slide."""
        return Path()

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"SlideUrl({self.scheme}://…/{self.name})"


def path_of(text: str) -> Path:
    """Return the file that a text names: a path, relative to the working folder, or what file managers copy (file:///…)."""
    if text.startswith("file:"):
        return Path(url2pathname(urlsplit(text).path))
    return Path(text).absolute() if text in ("", ".") else Path(text)
