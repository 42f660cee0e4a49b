"""FILES -> Slide."""

from pathlib import Path

from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import MissingExtraError, PathlupiError, SlideError, UnknownFormatError
from napari_pathlupi.slides._choice import AS_STORED, Choice
from napari_pathlupi.slides._slide import Format, Slide
from napari_pathlupi.slides._url import SlideUrl, path_of

__all__ = ["Format", "Slide", "open_slide"]


def open_slide(
    path: str | Path | SlideUrl, mpp: float | None = None, plane: int = 0, scene: int = 0, colour: str = AS_STORED
) -> Slide:
    """Return the slide in a file, metadata only: pixels are read when asked for.

    Parameters
    ----------
    path
        The file, the folder of an OME-Zarr or DICOM slide, or an address that fsspec knows (``https://``, ``s3://``,
        ``gs://``, ``zip://slide.svs::slides.zip``) of a TIFF file, of which only ranges are fetched.
    mpp
        µm per pixel, where the file does not say or says it wrong; recorded as stated by the user.
    plane, scene, colour
        Which focal plane of which scene, 0 unless asked (`Slide.offer` says what there is); colours "as stored", or
        "srgb" through the file's ICC profile.

    Raises
    ------
    SlideError, SettingsError
        When the file is missing, empty, damaged or of no known format, with what each reader said; or when plane,
        scene, profile or colours are not there, with what is.
    MissingExtraError
        When only an optional library that cannot be loaded could read it; the message says what to install.
    """
    choice, address = Choice(plane, scene, colour), SlideUrl.of(path)
    place = address or path_of(str(path))
    fitting = _fitting_address(place) if isinstance(place, SlideUrl) else _fitting(_must_be_there(place))
    said, missing = list[str](), list[MissingExtraError]()
    for candidate in fitting:
        try:
            slide: Slide = candidate.open(place, choice)
        except UnknownFormatError as error:
            said.append(str(error))
        except MissingExtraError as error:
            missing.append(error)
        else:
            if mpp is not None:
                slide.state_mpp(mpp)
            return slide
    raise _refused(place, said, missing)


def _refused(place: Path | SlideUrl, said: list[str], missing: list[MissingExtraError]) -> PathlupiError:
    """What to raise when no reader opens a slide, from what each of them said."""
    is_folder = isinstance(place, Path) and place.is_dir()
    if missing and (is_folder or not said):
        return missing[0]
    words = "; ".join(dict.fromkeys([*said, *map(str, missing)])).rstrip(".")
    if is_folder:
        return SlideError(f"{place} is a folder, but no slide ({words}): give one slide file in it.")
    return SlideError(f"cannot open {place.name}: {words}. Check that it is a slide, and copy it again.")


def _fitting(path: Path) -> list[Format]:
    """Formats that may know a file by its ending or a folder by what is in it, the likeliest first."""
    name, every = path.name.lower(), [formats[key] for key in formats]
    if path.is_dir():
        every = [one for one in every if one.folders]
    known = [one for one in every if name.endswith(one.suffixes)]
    if path.is_dir():
        known = known or every
    if not known:
        endings = ", ".join(sorted({suffix for one in every for suffix in one.suffixes}))
        raise UnknownFormatError(f"{path.name} is of no slide format that is known here: {endings} are.")
    return sorted(known, key=lambda one: (not name.endswith(one.first_for), one.rank))


def _fitting_address(address: SlideUrl) -> list[Format]:
    every = [formats[key] for key in formats]
    known = [one for one in every if one.remote and address.name.lower().endswith(one.suffixes)]
    if not known:
        endings = ", ".join(sorted({suffix for one in every if one.remote for suffix in one.suffixes}))
        raise UnknownFormatError(f"{address.name} cannot be read over {address.scheme}://: {endings} can; download it.")
    return known


def _must_be_there(path: Path) -> Path:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SlideError(f"there is no file {path}: check the name and the drive.") from error
    except (OSError, ValueError) as error:
        raise SlideError(f"{path} cannot be opened ({error}): check the name and your rights.") from error
    if size == 0 and not path.is_dir():
        raise SlideError(f"{path.name} is empty (0 bytes): copy it again.")
    return path
