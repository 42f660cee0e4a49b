"""A process that is forked, as the workers of a data loader are, reads the same pixels and waits for nobody."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.slides import Slide
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._memory import MEMORY
from napari_pathlupi.slides.openslide import open_with_openslide
from napari_pathlupi.slides.tiff import open_tiff
from napari_pathlupi.slides.tiffslide import open_with_tiffslide

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks nothing"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
PATIENCE_S = 20


def ends_well(work: Callable[[], bool]) -> bool:
    """Whether a forked process says that all is well, in time."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.parametrize("opener", [open_tiff, open_with_tiffslide, open_with_openslide])
def test_a_child_reads_the_same_pixels_while_its_parent_reads(
    opener: Callable[[Path], Slide], shared_data: Path
) -> None:
    if opener is open_with_openslide:
        pytest.importorskip("openslide", exc_type=ImportError)
    with opener(shared_data / "wsi/CMU-1-Small-Region.svs") as slide:
        places = [(y, x) for y in range(0, 2400, 240) for x in range(0, 1900, 480)]
        right = {place: slide.read_level(0, place, (64, 64)) for place in places}

        def all_right() -> bool:
            for place in places * 3:
                TILES.clear()
                if not np.array_equal(slide.read_level(0, place, (64, 64)), right[place]):
                    return False
            return True

        stop = threading.Event()

        def go_on_reading() -> None:
            while not stop.is_set():
                all_right()

        reading = threading.Thread(target=go_on_reading)
        reading.start()
        try:
            assert ends_well(all_right)
        finally:
            stop.set()
            reading.join()


def test_a_child_never_waits_for_memory_that_another_thread_was_taking() -> None:
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            TILES.get("a tile", lambda: MEMORY.empty((64, 64, 3)))
            TILES.clear()

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(ends_well(lambda: MEMORY.empty((64, 64, 3)).size > 0) for _ in range(20))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        TILES.clear()


def test_a_child_paints_with_threads_of_its_own(shared_data: Path) -> None:
    with open_tiff(shared_data / "wsi/CMU-1-Small-Region.svs") as slide:
        level = slide.pyramid()[0][:1000, :300]
        painted = np.asarray(level)
        assert ends_well(lambda: np.array_equal(np.asarray(level), painted))
