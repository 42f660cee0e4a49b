import tracemalloc
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import tiffslide

from napari_pathlupi.core.progress import CancelFlag, Progress, run
from napari_pathlupi.errors import Cancelled, OutputError
from napari_pathlupi.simulation import slide_writer
from napari_pathlupi.simulation.slide_writer import Picture, SlideLayout, write_slide_steps

SHAPE = 901, 1150


def wavy(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
    """A smooth picture that tells where it is."""
    y, x = np.mgrid[origin[0] : origin[0] + shape[0], origin[1] : origin[1] + shape[1]]
    planes = np.sin(y / 60), np.cos(x / 45), np.sin((y + x) / 90)
    return np.stack([128 + 100 * plane for plane in planes], axis=-1).astype(np.uint8)


def write(path: Path, layout: SlideLayout) -> Path:
    return run(write_slide_steps(path, wavy, layout, CancelFlag()))


@pytest.mark.parametrize("reader", [openslide.OpenSlide, tiffslide.TiffSlide])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("lossless", [True, False])
def test_openslide_and_tiffslide_read_what_was_written(
    tmp_path: Path, reader: type, factor: int, lossless: bool
) -> None:
    layout = SlideLayout(SHAPE, 0.5021, factor=factor, smallest_px=300, lossless=lossless, quality=90)
    with reader(str(write(tmp_path / "slide.svs", layout))) as slide:
        room = reader.__module__.split(".")[0]
        assert slide.properties[f"{room}.vendor"] == "aperio"
        assert float(slide.properties[f"{room}.mpp-x"]) == float(slide.properties[f"{room}.mpp-y"]) == 0.5021
        assert float(slide.properties[f"{room}.objective-power"]) == pytest.approx(20, abs=0.2)
        expected = [(shape[1], shape[0]) for shape in layout.levels_px()]
        assert list(slide.level_dimensions) == expected and len(expected) > 1
        assert list(slide.associated_images) == ["thumbnail"]
        for level, (width, height) in enumerate(slide.level_dimensions):
            found = np.asarray(slide.read_region((0, 0), level, (width, height)))[..., :3].astype(int)
            step = factor**level
            whole = wavy((0, 0), (height * step, width * step)).astype(float)
            wanted = whole.reshape(height, step, width, step, 3).mean(axis=(1, 3))
            error = np.abs(found - wanted)
            assert error.max() <= (level if lossless else 24)
            assert error.mean() <= (0.5 * level if lossless else 2.0)


def test_a_large_file_gets_64_bit_offsets_and_a_small_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = write(tmp_path / "small.svs", SlideLayout((600, 700), 0.5))
    monkeypatch.setattr(slide_writer, "CLASSIC_TIFF_BYTES", 1000)
    large = write(tmp_path / "large.svs", SlideLayout((600, 700), 0.5))
    for path, is_large in ((small, False), (large, True)):
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff == is_large and file.is_svs
        with openslide.OpenSlide(path) as slide:
            assert slide.dimensions == (700, 600)


def test_memory_stays_a_twentieth_of_a_tall_slide(tmp_path: Path) -> None:
    def peak(height: int) -> int:
        def glass(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
            return np.full((*shape, 3), 240, dtype=np.uint8)

        tracemalloc.start()
        layout = SlideLayout((height, 2048), 0.5, smallest_px=256)
        run(write_slide_steps(tmp_path / "slide.svs", glass, layout, CancelFlag()))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(512)
    assert peak(16384) < 16384 * 2048 * 3 / 20


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    cancel = CancelFlag()

    def stop(progress: Progress) -> None:
        if progress.fraction > 0.3:
            cancel.set()

    with pytest.raises(Cancelled, match="stopped at row"):
        run(write_slide_steps(tmp_path / "slide.svs", wavy, SlideLayout(SHAPE, 0.5), cancel), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_slide_that_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "slide.svs", SlideLayout((300, 300), 0.5))
    before = path.read_bytes()

    def fails(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        run(write_slide_steps(path, fails, SlideLayout(SHAPE, 0.5), CancelFlag()))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"slide\.svs cannot be written"):
        write(tmp_path / "missing" / "slide.svs", SlideLayout((300, 300), 0.5))
