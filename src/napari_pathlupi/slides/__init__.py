"""FILES -> Slide."""

from pathlib import Path

from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._slide import Format, Slide

__all__ = ["Format", "Slide", "open_slide"]


def open_slide(path: str | Path, mpp: float | None = None) -> Slide:
    """Return the slide in a file, metadata only: pixels are read when asked for.

    Parameters
    ----------
    path
        The file.
    mpp
        µm per pixel, where the file does not say or says it wrong; recorded as stated by the user.

    Raises
    ------
    SlideError
        When the file is missing, empty, damaged or of no known format, with what each reader said.
    """
    path = Path(path)
    _must_be_a_file(path)
    suffix = path.suffix.lower()
    fitting = sorted((f for f in map(formats.__getitem__, formats) if suffix in f.suffixes), key=lambda f: f.rank)
    if not fitting:
        known = ", ".join(sorted({s for name in formats for s in formats[name].suffixes}))
        raise UnknownFormatError(f"{path.name} is of no slide format that is known here: {known} are.")
    said = []
    for candidate in fitting:
        try:
            slide: Slide = candidate.open(path)
        except UnknownFormatError as error:
            said.append(str(error))
            continue
        if mpp is not None:
            slide.state_mpp(mpp)
        return slide
    raise SlideError(f"cannot open {path.name}: {'; '.join(dict.fromkeys(said))}")


def _must_be_a_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SlideError(f"there is no file {path}: check the name and the drive.") from error
    except (OSError, ValueError) as error:
        raise SlideError(f"{path} cannot be opened ({error}): check the name and your rights.") from error
    if path.is_dir():
        raise SlideError(f"{path} is a folder: give one slide file in it.")
    if size == 0:
        raise SlideError(f"{path.name} is empty (0 bytes): copy it again.")
