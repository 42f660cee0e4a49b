"""napari's way in: files -> slide layers. Cheap to import and to ask; torch and napari stay out until needed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Layers = list[tuple[Any, ...]]

NOTHING: Layers = [(None,)]
"""What napari takes for "read, but there is no layer"."""

_NOT_ONLY_SLIDES = frozenset({".dcm", ".dicom", ".czi", ".zvi"})
"""Endings of other pictures too: claimed, as folders are, only when they open as a slide."""
_ANYONES = frozenset({".tif", ".tiff", ".btf", ".tf8"})


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], Layers] | None:
    """Return `read` when all files are slides, None otherwise; looks at their index only and never raises.

    Slide formats are claimed by their ending, so that a damaged one is reported here in one sentence; other TIFF files
    when they hold one plane of 8-bit grey or RGB, PNG and JPEG when they begin as such. That takes no picture away from
    other readers: napari asks a reader only when it was chosen by name, or preferred, or there is no other.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return read if paths and all(_is_ours(Path(one)) for one in paths) else None


def read(path: str | Sequence[str]) -> Layers:
    """Return one lazy layer per slide, at the scale that was stated of it where the file has none.

    What cannot be opened is told in a notification and gives no layer.
    """
    from napari.utils.notifications import show_error, show_info

    from napari_pathlupi.errors import PathlupiError
    from napari_pathlupi.layers import slide_layer

    opened: Layers = []
    for one in [path] if isinstance(path, str) else path:
        try:
            slide, note = _open(one)
            opened.append(slide_layer(slide))
            if note:
                show_info(note)
        except PathlupiError as error:
            show_error(str(error))
    return opened or NOTHING


def _open(path: str) -> tuple[Any, str]:
    """The slide and a sentence about its scale or ""; scales that cannot be recalled keep no slide closed."""
    from napari_pathlupi.errors import SettingsError
    from napari_pathlupi.slides import open_slide
    from napari_pathlupi.workflows.embedding.scale import open_at_scale

    try:
        return open_at_scale(path)
    except SettingsError as error:
        return open_slide(path), str(error)


def _is_ours(path: Path) -> bool:
    try:
        from napari_pathlupi.catalogue import formats

        suffix = path.suffix.lower()
        known = [formats[name] for name in formats if suffix in formats[name].suffixes]
        if path.is_dir() or suffix in _NOT_ONLY_SLIDES:
            from napari_pathlupi.slides import open_slide

            open_slide(path).close()
            return True
        if not known or not path.is_file():
            return False
        if suffix in _ANYONES:
            return _tiff_is_ours(path)
        return not all(one.whole_only for one in known) or _is_picture(path)
    except Exception:  # noqa: BLE001  a reader that raises keeps every other reader from its turn
        return False


def _tiff_is_ours(path: Path) -> bool:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = max(tiff.series, key=_px)
        page = series.keyframe
        interleaved = page.samplesperpixel in (1, 3, 4) and page.planarconfig == 1
        return page.dtype == "uint8" and interleaved and set(series.axes) <= set("YXS")


def _px(series: Any) -> int:
    return int(series.keyframe.imagewidth * series.keyframe.imagelength)


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(25)
    if path.suffix.lower() == ".png":
        return head.startswith(b"\x89PNG") and head[24] <= 8  # PNG 11.2.2: the depth in bits; 16 are not read
    return head.startswith(b"\xff\xd8\xff")
