"""Results to files, each whole or not at all, none ever overwritten."""

from collections.abc import Collection, Sequence
from itertools import chain, count
from pathlib import Path

from napari_pathlupi.catalogue import exports
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export._export import Export

REGIONS = ".regions.geojson"
"""How the file of a person's regions ends."""


def save_prediction(
    prediction: Prediction,
    frame: SlideFrame,
    folder: Path,
    names: Collection[str] = (),
    regions: Sequence[AnnotatedRegion] = (),
) -> list[Path]:
    """Write a prediction in several formats, and a person's regions; return the files.

    They are called after the slide; a second run becomes ``slide.2…``, because results are kept, never overwritten.

    Parameters
    ----------
    prediction, frame
        What to write, and where it lies.
    folder
        Where to write.
    names
        Exports of the catalogue to be written although large; those that fit and are not large are always.
    regions
        Outlines drawn by a person, level-0 pixels; they get a file of their own.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    wanted: dict[str, Export] = {name: exports[name] for name in (*exports, *names)}
    chosen = [e for name, e in wanted.items() if name in names or (e.fits(prediction) and not e.asked_for)]
    start = unused(folder, prediction.provenance.slide_name, [REGIONS, *(export.suffix for export in chosen)])
    files = [start.with_name(f"{start.name}{export.suffix}") for export in chosen]
    for export, file in zip(chosen, files, strict=True):
        export.write(file, prediction, frame)
    return [*files, *_write_regions(start, regions, frame)]


def save_regions(regions: Sequence[AnnotatedRegion], slide_name: str, frame: SlideFrame, folder: Path) -> list[Path]:
    """Write a person's regions for QuPath and return the file, none when there are no regions.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    return _write_regions(unused(folder, slide_name, [REGIONS]), regions, frame)


def unused(folder: Path, slide_name: str, endings: Sequence[str]) -> Path:
    """Return the first of ``slide``, ``slide.2``, … to which none of the endings makes a file that is there."""
    stem = Path(slide_name).stem
    starts = chain([stem], (f"{stem}.{attempt}" for attempt in count(2)))
    return next(folder / start for start in starts if not any((folder / f"{start}{e}").exists() for e in endings))


def _write_regions(start: Path, regions: Sequence[AnnotatedRegion], frame: SlideFrame) -> list[Path]:
    from napari_pathlupi.export.geojson import write_regions

    if not regions:
        return []
    file = start.with_name(f"{start.name}{REGIONS}")
    write_regions(file, regions, frame)
    return [file]
