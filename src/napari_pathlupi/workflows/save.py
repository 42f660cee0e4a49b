"""Results to files, each whole or not at all, none ever overwritten."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from napari_pathlupi.catalogue import exports
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export._export import Export


def save_prediction(prediction: Prediction, frame: SlideFrame, folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """Write a prediction in several formats and return the files.

    They are called after the slide; a second run becomes ``slide.2…``, because results are kept, never overwritten.

    Parameters
    ----------
    prediction, frame
        What to write, and where it lies.
    folder
        Where to write.
    names
        Exports of the catalogue; none means all.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    chosen: list[Export] = [exports[name] for name in (names or exports)]
    stem = Path(prediction.provenance.slide_name).stem
    for attempt in count(1):
        start = stem if attempt == 1 else f"{stem}.{attempt}"
        files = [folder / f"{start}{export.suffix}" for export in chosen]
        if not any(file.exists() for file in files):
            break
    for export, file in zip(chosen, files, strict=True):
        export.write(file, prediction, frame)
    return files
