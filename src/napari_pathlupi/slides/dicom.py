"""DICOM whole-slide images (PS3.3 A.32.8), a folder or one instance, through wsidicom or else OpenSlide.

Only pictures whose ImageType is VOLUME are read: never a label, an overview or a thumbnail.
"""

import hashlib
import logging
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.errors import MissingExtraError, PathlupiError, SlideError, UnknownFormatError, words_of
from napari_pathlupi.slides._choice import DEFAULT, Choice, Offer, Scene, must_be_one_of
from napari_pathlupi.slides._foreign import FAULTS, HandlePool, TiledSlide, credible_mpp, must_be_held
from napari_pathlupi.slides._slide import Format, Picture, Slide, fingerprint_of
from napari_pathlupi.slides.openslide import OpenSlideSlide

MAGIC_AT, MAGIC = 128, b"DICM"
"""PS3.10 section 7.1: 128 bytes of preamble, then the prefix."""
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""PS3.6: SOP class of VL Whole Slide Microscopy Image Storage."""
TAGS = ["SeriesInstanceUID", "ImageType"]
FRAMES_KEPT_BYTES = 8 * 1024 * 1024
"""What a handle keeps of its own, since decoded frames are kept in our cache."""


class DicomSlide(TiledSlide):
    """A DICOM slide that wsidicom reads, one handle per reading thread; `open_dicom` makes one.

    Parameters
    ----------
    path
        The folder or file that was asked for.
    files
        The VOLUME instances.
    choice
        Which pyramid and focal plane.
    """

    def __init__(self, path: Path, files: Sequence[Path], choice: Choice = DEFAULT) -> None:
        self._handles = HandlePool(lambda: _open_wsidicom(files))
        with self._handles.borrowed() as handle:
            numbered = sorted(enumerate(handle.pyramids), key=lambda one: -one[1].size.area)
            scenes = tuple(Scene("", (int(one.size.height), int(one.size.width))) for _, one in numbered)
            must_be_one_of("scene", choice.scene, scenes, path.name)
            self._pyramid, pyramid = numbered[choice.scene]
            depths_um = _depths_um(pyramid.base_level)
            offer = Offer(scenes, depths_um, _icc_profile(files[0]))
            offer.must_hold(choice, path.name)
            self._depth = {"z": depths_um[choice.plane]} if choice.plane else {}
            has_plane = [level for level in pyramid.levels if {*self._depth.values()} <= {*level.focal_planes}]
            found = sorted(has_plane, key=lambda level: -int(level.size.width))
            self._numbers = [int(level.level) for level in found]
            frames = [(int(level.tile_size.height), int(level.tile_size.width)) for level in found]
            shapes = [(int(level.size.height), int(level.size.width)) for level in found]
            must_be_held(shapes[0], files, path.name)
            frame = SlideFrame(shapes[0], _mpp(found[0]))
        super().__init__(path, frame, shapes, fingerprint_of_files(files), "DICOM", frames)
        self._faults, self._files = (*self._faults, *_wsidicom_faults()), tuple(files)
        self.choose(choice, offer)

    def _decode(self, level: int, row: int, column: int) -> Picture:
        place = {"tile": (column, row), "pyramid": self._pyramid, "crop_to_image_boundary": False, **self._depth}
        with self._handles.borrowed() as handle:
            pixels = np.asarray(handle.read_tile(self._numbers[level], **place))
        return pixels.reshape(*pixels.shape[:2], -1)[..., :3]

    def close(self) -> None:
        self._handles.close()


def open_dicom(path: Path, choice: Choice = DEFAULT) -> Slide:
    """Return what is chosen of the slide in a folder of DICOM files, or of the one that a file belongs to.

    A slide is one DICOM series: the levels beside a file are opened with it.

    Raises
    ------
    UnknownFormatError
        When there is no DICOM file.
    SlideError
        When what there is is no slide, several, or damaged, or what is chosen is not there.
    MissingExtraError
        When neither wsidicom nor OpenSlide can be loaded.
    """
    try:
        files = _dicom_files(path)
        levels = _levels(path, files)
    except MissingExtraError as missing:
        try:
            return _through_openslide(path, files, choice)
        except MissingExtraError:
            raise missing from None
    except OSError as error:
        raise SlideError(f"{path.name} cannot be read ({error.strerror}): check your rights.") from error
    try:
        return DicomSlide(path, levels, choice)
    except (*FAULTS, *_wsidicom_faults()) as error:
        try:
            return _through_openslide(path, levels, choice)
        except PathlupiError:
            raise SlideError(
                f"{path.name} is no DICOM slide that can be read ({words_of(error)}): copy it again."
            ) from error


def _dicom_files(path: Path) -> list[Path]:
    """The DICOM files in a folder, or beside a file and itself."""
    if path.is_file() and not _is_dicom(path):
        raise UnknownFormatError(f"{path.name} is no DICOM file")
    folder = path if path.is_dir() else path.parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and _is_dicom(file)]
    if not files:
        raise UnknownFormatError(f"{path.name} holds no DICOM file")
    return files


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC


def _levels(path: Path, files: Sequence[Path]) -> list[Path]:
    """The VOLUME instances of the series that a file belongs to, or of the only series in a folder."""
    faults = (*FAULTS, *_wsidicom_faults())
    import pydicom

    series: dict[str, list[Path]] = {}
    asked = None
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
            is_slide = header.file_meta.get("MediaStorageSOPClassUID") == WHOLE_SLIDE
            uid = str(header.SeriesInstanceUID if is_slide else header.get("SeriesInstanceUID", ""))
            if is_slide and "VOLUME" in header.ImageType:
                series.setdefault(uid, []).append(file)
        except faults as error:
            raise SlideError(f"{file.name} cannot be read as DICOM ({words_of(error)}): copy it again.") from error
        if file == path:
            asked = uid
    if asked is None and len(series) > 1:
        raise _several(path, len(series))
    found = series.get(asked, []) if asked is not None else next(iter(series.values()), [])
    if not found:
        raise SlideError(f"{path.name} is DICOM but no slide: it has no whole-slide picture of the kind VOLUME.")
    return found


def _several(path: Path, count: int) -> SlideError:
    return SlideError(f"{path.name} holds {count} DICOM slides: open one file of the slide that you want.")


def _through_openslide(path: Path, files: Sequence[Path], choice: Choice) -> OpenSlideSlide:
    """What OpenSlide makes of a file or a folder; it gathers the levels of a series by itself."""
    fingerprint = fingerprint_of_files(files)
    found: dict[str, OpenSlideSlide] = {}
    for file in [path] if path.is_file() else files:
        try:
            slide = OpenSlideSlide(path, file, fingerprint)
        except UnknownFormatError:  # an annotation or another kind of DICOM; what is damaged is told
            continue
        slide.close()  # an idle handle; reading opens one again
        found[slide.properties.get("openslide.quickhash-1", "")] = slide
    if len(found) > 1:
        raise _several(path, len(found))
    if not found:
        raise SlideError(f"OpenSlide finds no slide in {path.name}.")
    return found.popitem()[1].choose(choice)


def _library() -> ModuleType:
    return load_extra("wsidicom", "dicom", "a DICOM slide")


def _wsidicom_faults() -> tuple[type[Exception], ...]:
    """What wsidicom and pydicom raise, which have no class in common."""
    _library()
    import pydicom.errors
    import wsidicom.errors

    named = (*vars(wsidicom.errors).values(), *vars(pydicom.errors).values())
    return tuple(one for one in named if isinstance(one, type) and issubclass(one, Exception))


def _open_wsidicom(files: Sequence[Path]) -> Any:
    logging.getLogger("wsidicom").addHandler(logging.NullHandler())  # or it prints a trace for what we tell in words
    library = _library()
    from wsidicom.config import Settings

    settings = Settings(decoded_frame_cache_size=FRAMES_KEPT_BYTES, encoded_frame_cache_size=FRAMES_KEPT_BYTES)
    handle = library.WsiDicom.open(files, settings=settings)
    left_out = {file.name for file in files} - {Path(str(file)).name for file in handle.files or ()}
    if left_out:
        handle.close()
        raise ValueError(f"{', '.join(sorted(left_out))} cannot be used")
    return handle


def _mpp(level: Any) -> Mpp | None:
    spacing = level.pixel_spacing  # PS3.3 10.7.1.3: mm, decimal strings
    y, x = (float(Decimal(str(side)) * 1000) for side in (spacing.height, spacing.width))
    return credible_mpp(y, x, "DICOM PixelSpacing")


def _depths_um(level: Any) -> tuple[float | None, ...]:
    """The depths of all focal planes, first that which wsidicom takes unless asked, the middle one."""
    if len(level.focal_planes) == 1:
        return (None,)
    middle = level.default_instance.default_z
    return (middle, *(depth for depth in level.focal_planes if depth != middle))


def _icc_profile(file: Path) -> bytes:
    import pydicom

    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["OpticalPathSequence"])
    paths = header.get("OpticalPathSequence") or [{}]
    return bytes(paths[0].get("ICCProfile", b""))


def fingerprint_of_files(files: Sequence[Path]) -> str:
    """Return 32 hex digits that name the content of several files, whatever they are called."""
    pieces = "".join(sorted(fingerprint_of(file) for file in files))
    return hashlib.blake2b(pieces.encode(), digest_size=16).hexdigest()


FORMAT = Format(suffixes=(".dcm", ".dicom"), rank=10, open=open_dicom, folders=True)
