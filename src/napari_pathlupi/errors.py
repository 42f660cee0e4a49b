"""Everything that can go wrong for a user, as one tree.

::

    PathlupiError                  catch this to catch all of them
    ├── SlideError                 a slide cannot be opened or read
    │   ├── UnknownFormatError     no reader knows this file
    │   ├── DamagedTileError       one stored tile cannot be decoded, the others can
    │   ├── MppUnknownError        the file does not say how large a pixel is
    │   └── UnsuitableSlideError   readable, but nothing these models can judge
    │       └── NoTissueError      nothing on it but glass, pen or shadow
    ├── NotFoundError              no such name in a catalogue
    ├── SettingsError              a setting is outside what works
    ├── MismatchError              two things that do not belong together
    ├── BundleError                a model folder is damaged or not one
    ├── TableError                 a table or gene-set file cannot be used
    ├── FeaturesError              a file of features cannot be used
    │   └── UnstatedError          it lacks something that nobody has said yet
    ├── OutputError                a result cannot be written
    ├── InUseError                 another process is writing it
    ├── MissingExtraError          an optional library is absent or broken
    ├── WeightsError               the weights of a patch encoder cannot be used
    ├── InferenceError             the device or the network failed while running
    ├── UnusableFoldError          cases that nothing can be learned from or tested on
    └── Cancelled                  stopped before there was anything to keep

Each message is one sentence or two: what happened with the values, what would be right, what to do.
None is a ``RuntimeError``: napari swallows those when they leave a generator worker.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_pathlupi.core.tissue import TissueMask


class PathlupiError(Exception):
    """What a user can be told in one sentence."""


class SlideError(PathlupiError):
    """A slide cannot be opened or read."""


class UnknownFormatError(SlideError):
    """No reader knows this file."""


class DamagedTileError(SlideError):
    """One stored tile lies outside the file or cannot be decoded; all others can be read."""


class MppUnknownError(SlideError):
    """The file does not say how large a pixel is, and nobody has said it yet."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(
            f"{Path(path).name} does not say how large a pixel is: "
            "give µm per pixel (20x is about 0.5, 40x about 0.25), in the panel or with --mpp."
        )


class UnsuitableSlideError(SlideError):
    """The slide can be read, but holds nothing that these models can judge."""


class NoTissueError(UnsuitableSlideError):
    """No tissue was found; the message gives the share of each other class.

    Parameters
    ----------
    words
        What a user is told.
    tissue
        What lies where on the slide, for a person to mend, where it is known.
    """

    def __init__(self, words: str, tissue: "TissueMask | None" = None) -> None:
        super().__init__(words)
        self.tissue = tissue


class NotFoundError(PathlupiError):
    """No such name in a catalogue; the message suggests the nearest."""


class SettingsError(PathlupiError):
    """A setting is outside what works; the message gives the range."""


class MismatchError(PathlupiError):
    """Two things that do not belong together, both named."""


class BundleError(PathlupiError):
    """A model folder is damaged, incomplete or not one."""


class TableError(PathlupiError):
    """A table or a gene-set file cannot be used as it is."""


class FeaturesError(PathlupiError):
    """A file of features is damaged, of no known kind, or not of tiles."""


class UnstatedError(FeaturesError):
    """A file of features lacks something that nobody has said yet.

    Parameters
    ----------
    words
        What is missing, for a person to answer.
    what
        The field of `napari_pathlupi.interchange._told.Stated` that gives it, and so the flag.
    advice
        How to give it, where that is more than the flag.
    """

    def __init__(self, words: str, what: str, advice: str = "") -> None:
        super().__init__(f"{words}: {advice or 'give it'} with --{what.replace('_', '-')}.")
        self.words, self.what = words, what


class OutputError(PathlupiError):
    """A result cannot be written where it was asked for."""


class InUseError(PathlupiError):
    """Another process is writing the same thing; the message says which."""


class MissingExtraError(PathlupiError):
    """An optional library is absent or broken; the message says what to install."""


class WeightsError(PathlupiError):
    """The weights of a patch encoder are missing, damaged or another's; the message says where to get them."""


class InferenceError(PathlupiError):
    """The device or the network failed while running."""


class UnusableFoldError(PathlupiError):
    """Cases that a protocol cannot learn from or be tested on; the message is the reason, without a full stop."""


class Cancelled(PathlupiError):
    """Stopped before there was anything to keep."""


def words_of(error: BaseException) -> str:
    """Return the first line of what an error says, without the full stop, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return why a file cannot be read, without its name, which the sentence around it says."""
    return (isinstance(error, OSError) and error.strerror) or str(error).strip().rstrip(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'uni'? ", to go before what else there is; "" where no name is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}? " if near else ""
