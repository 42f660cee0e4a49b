"""What every slide can do, whatever its file."""

import hashlib
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import Level, Mpp, SlideFrame
from napari_pathlupi.errors import MppUnknownError, PathlupiError
from napari_pathlupi.slides._choice import DEFAULT, SRGB, Choice, Offer, Scene
from napari_pathlupi.slides._colour import srgb_from
from napari_pathlupi.slides._hatch import StandIn, white
from napari_pathlupi.slides._sampling import level_for, sample
from napari_pathlupi.slides._url import SlideUrl

if TYPE_CHECKING:
    import dask.array as da

Picture = npt.NDArray[np.uint8]
"""(height, width, 3) RGB."""

WHITE = 255
_OPENINGS = itertools.count()


class Slide(ABC):
    """One whole-slide image: levels, scale and pixels.

    Safe to read from several threads; pickled by path, never by content. What lies outside the slide is white.

    Parameters
    ----------
    path
        The file, or the address of one that lies elsewhere.
    frame
        Shape, size of a pixel and bounds.
    levels
        Stored resolutions, finest first.
    fingerprint
        Names the content, whatever the file is called.
    vendor
        Who wrote the file, for the panel.

    Attributes
    ----------
    opening
        Tells this object from every other slide of this process, also of the same content: what is cached is cached
        under it, because a file may change under its name.
    offer, choice
        What the file holds to choose from, and what was chosen of it.
    """

    def __init__(
        self, path: Path | SlideUrl, frame: SlideFrame, levels: Sequence[Level], fingerprint: str, vendor: str
    ) -> None:
        self.path = path
        self.frame = frame
        self.levels = tuple(levels)
        self.fingerprint = fingerprint
        self.vendor = vendor
        self.opening = next(_OPENINGS)
        self.offer, self.choice = Offer((Scene("", frame.shape_px0),)), DEFAULT
        self._to_srgb: Callable[[Picture], Picture] | None = None
        self._stand_in: StandIn | None = None

    def choose(self, choice: Choice, offer: Offer | None = None) -> Self:
        """Note what was chosen of what the file holds, and name the content accordingly; once, last of opening.

        Raises
        ------
        SlideError
            When it is not there; the slide is closed then.
        """
        self.offer, self.choice = offer or self.offer, choice
        try:
            self.offer.must_hold(choice, self.path.name)
            if choice.colour == SRGB:
                self._to_srgb = srgb_from(self.offer.icc_profile, self.path.name)
        except PathlupiError:
            self.close()
            raise
        self.fingerprint = choice.fingerprint(self.fingerprint)
        return self

    def coloured(self, stored: Picture) -> Picture:
        """Return decoded pixels in the colours that were chosen."""
        return self._to_srgb(stored) if self._to_srgb else stored

    @abstractmethod
    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        """Return pixels of one stored level, averaged over squares of ``2 ** halvings``.

        Parameters
        ----------
        level
            Index into ``levels``.
        origin_px, shape_px
            Top-left corner and shape (y, x) in the pixels of the level *after* the halvings.
        halvings
            How often to halve.
        """

    @abstractmethod
    def pyramid(self) -> "list[da.Array]":
        """Return every octave as a lazy (height, width, 3) uint8 array, finest first, down to <= 1024 px."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; reading afterwards opens it again."""

    @property
    def missing_tiles(self) -> int:
        """Stored tiles known so far to lie outside the file or to be undecodable."""
        return 0

    def lenient(self, stand_in: StandIn = white) -> Self:
        """Return this slide as one that reads over a damaged tile: white for the tissue finder, a hatch for the eye."""
        return self

    def passing(self) -> Self:
        """Return this slide as one that keeps no stored tile of which it gives all: for who reads each but once."""
        return self

    @property
    def mpp(self) -> Mpp:
        """µm per pixel of level 0.

        Raises
        ------
        MppUnknownError
            When the file does not say and nobody has said.
        """
        if self.frame.mpp is None:
            raise MppUnknownError(self.path.name)
        return self.frame.mpp

    def state_mpp(self, mpp: float) -> None:
        """Set the size of a pixel as stated by the user."""
        self.frame = replace(self.frame, mpp=Mpp(float(mpp), float(mpp), "stated by the user"))

    def read(self, origin_px0: tuple[float, float], shape_px: tuple[int, int], mpp: float) -> Picture:
        """Return a region at an exact scale.

        Parameters
        ----------
        origin_px0
            Top-left corner (y, x), level-0 pixels, fractions allowed.
        shape_px
            Height and width of the answer.
        mpp
            µm per pixel of the answer; sampled exactly, never snapped to a stored level.

        Raises
        ------
        SettingsError
            When that is not above 0.
        MppUnknownError
            When the size of a pixel is not known.
        """
        return self.read_scaled(origin_px0, shape_px, (mpp / self.mpp.y, mpp / self.mpp.x))

    def read_scaled(
        self, origin_px0: tuple[float, float], shape_px: tuple[int, int], scale: tuple[float, float]
    ) -> Picture:
        """Return a region whose pixels are ``scale`` (y, x) level-0 pixels large.

        The coarsest stored level that is fine enough is read. Whole powers of two are averaged by the decoder where it
        can; of any other ratio it averages only as much as `bears_halving` allows, and what remains is averaged over
        exact areas.
        """
        return sample(self, origin_px0, shape_px, scale)

    def stored_tile_px0(self, scale: tuple[float, float]) -> tuple[float, float] | None:
        """Return height and width, in level-0 pixels, of the tiles that `read_scaled` decodes at a scale.

        None where they are not known.
        """
        level, _ = level_for(self, scale)
        sides, factor = self.tile_px_of(level), self.levels[level].downsample
        return (sides[0] * factor, sides[1] * factor) if sides else None

    def tile_px_of(self, level: int) -> tuple[int, int] | None:
        """Return height and width of the tiles of a stored level, in its pixels; None where they are not known."""
        return None

    def bears_halving(self, level: int, halvings: int, ratio: float) -> bool:
        """Whether halving a level and then averaging to ``ratio`` is as good as averaging it at once.

        Good means within `napari_pathlupi.slides._halving.GOOD_DB`. No, unless a format gains by finding out.
        """
        return False

    def thumbnail(self, max_side_px: int = 1024) -> Picture:
        """Return the whole slide, its longer side at most ``max_side_px``."""
        scale = max(1.0, max(self.frame.shape_px0) / max(1, max_side_px))
        return self.overview(scale)

    def overview(self, scale: float) -> Picture:
        """Return the whole slide at ``scale`` level-0 pixels per pixel; the last row and column may be half white.

        From the coarsest stored level that is fine enough, halved as often as fits, whatever `bears_halving` says:
        places are exact, fine texture is not.
        """
        shape = tuple(max(1, math.ceil(side / scale - 1e-6)) for side in self.frame.shape_px0)
        return sample(self.lenient(), (0.0, 0.0), (shape[0], shape[1]), (scale, scale), quick=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., "Slide"], tuple[object, ...]]:
        return _reopen, (self.path, self.frame.mpp, self.choice, self._stand_in)

    def __repr__(self) -> str:
        height, width = self.frame.shape_px0
        scale = f"{self.frame.mpp.mean:.4g} µm/px" if self.frame.mpp else "unknown µm/px"
        return f"<{type(self).__name__} {self.path.name}: {width} × {height} px, {scale}, {len(self.levels)} levels>"


def _reopen(path: Path | SlideUrl, mpp: Mpp | None, choice: Choice, stand_in: StandIn | None) -> Slide:
    from napari_pathlupi.slides import open_slide

    slide = open_slide(path, **asdict(choice))
    slide.frame = replace(slide.frame, mpp=mpp)
    return slide.lenient(stand_in) if stand_in else slide


def fingerprint_of(path: Path) -> str:
    """Return 32 hex digits that name the content: its size and 64 pieces of 16 KiB, spread evenly from end to end."""
    with path.open("rb") as file:

        def read(places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
            for start, count in places:
                file.seek(start)
                yield file.read(count)

        return fingerprint_from(file.seek(0, 2), read)


def fingerprint_from(size: int, read: Callable[[Sequence[tuple[int, int]]], Iterable[bytes]]) -> str:
    """Return what `fingerprint_of` does, of bytes that are read by (start, count), all places at once."""
    piece, pieces = 16 * 1024, 64
    starts = [max(0, size - piece) * index // (pieces - 1) for index in range(pieces)]
    digest = hashlib.sha256(str(size).encode())  # processors have instructions for it
    for data in read([(start, min(piece, size - start)) for start in starts]):
        digest.update(data)
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to read slides; each file of the room defines one as ``FORMAT``.

    Parameters
    ----------
    suffixes
        Lower-case file endings with their dot.
    rank
        Formats that know a suffix are tried from the lowest rank on.
    open
        Opens what was chosen of a path, or raises `napari_pathlupi.errors.SlideError`.
    whole_only
        Whether the format is only for pictures that other software opens too, so that napari's reader claims them
        only when they are very large.
    folders
        Whether a slide of this format may be a folder.
    remote
        Whether ``open`` also takes a `SlideUrl`.
    first_for
        Suffixes for which this format goes before those of a lower rank.
    """

    suffixes: tuple[str, ...]
    rank: int
    open: Callable[[Any, Choice], Slide]
    whole_only: bool = False
    folders: bool = False
    remote: bool = False
    first_for: tuple[str, ...] = ()
