"""Memory for pictures: what is held is never handed out again, what is let go of is."""

import itertools
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_pathlupi.slides._cache import TileCache
from napari_pathlupi.slides._memory import IDLE_BYTES, SLAB_BYTES, PictureMemory

SHAPES = [(3, 3, 3), (64, 64, 3), (128, 128, 3), (256, 256, 3), (255, 7, 3), (1080, 1920, 3), (3000, 3000, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_places_that_are_held_share_no_byte(shape: tuple[int, int, int]) -> None:
    memory = PictureMemory()
    held = [memory.empty(shape) for _ in range(12)]
    for number, picture in enumerate(held):
        picture[:] = number
    assert all((picture == number).all() for number, picture in enumerate(held))
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(held, 2))


def test_a_place_is_taken_again_once_the_picture_and_all_its_views_are_gone() -> None:
    memory = PictureMemory()
    picture = memory.empty((256, 256, 3))
    address, view = picture.ctypes.data, picture[3:5, ::2]
    view[:] = 7
    del picture
    assert memory.empty((256, 256, 3)).ctypes.data != address
    assert (view == 7).all()
    del view
    assert address in [picture.ctypes.data for picture in [memory.empty((256, 256, 3)) for _ in range(2)]]


def test_tiles_of_two_sizes_in_turn_take_no_more_than_what_is_kept_and_one_slab() -> None:
    memory = PictureMemory()
    for shape in [(256, 256, 3), (128, 128, 3), (512, 512, 3), (2000, 2000, 3)] * 3:
        held = [memory.empty(shape) for _ in range(60)]
        del held
    memory.empty((256, 256, 3))
    assert sum(slab.memory.nbytes for slab in memory._idle) <= IDLE_BYTES + SLAB_BYTES


def test_crops_of_any_sizes_take_little_more_than_their_bytes() -> None:
    memory, sides = PictureMemory(), np.random.default_rng(0).integers(60, 400, (600, 2)).tolist()
    held = [memory.empty((height, width, 3)) for height, width in sides]
    slabs = {id(place._slab) for place in (picture.base for picture in held)}
    assert len(slabs) * SLAB_BYTES < 5 * sum(picture.nbytes for picture in held)


def test_what_is_let_go_of_goes_back_to_the_system_without_another_call() -> None:
    memory = PictureMemory()
    held = [memory.empty((256, 256, 3)) for _ in range(1000)]
    slabs = {picture.base._slab.address: weakref.ref(picture.base._slab.memory) for picture in held}
    assert len(slabs) * SLAB_BYTES > 2 * IDLE_BYTES
    del held
    assert sum(slab() is not None for slab in slabs.values()) * SLAB_BYTES <= IDLE_BYTES


def test_threads_that_share_a_small_cache_never_see_each_others_pixels() -> None:
    memory, cache = PictureMemory(), TileCache(1_000_000)

    def tile(number: int) -> np.ndarray:
        picture = memory.empty((128, 128, 3))
        picture[:] = number
        return picture

    def right(seed: int) -> bool:
        numbers = np.random.default_rng(seed).integers(0, 200, 3000).tolist()
        return all((cache.get(number, lambda number=number: tile(number)) == number).all() for number in numbers)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(4)))


def test_a_cleared_cache_decodes_again() -> None:
    cache, decoded = TileCache(1_000_000), []

    def decode() -> np.ndarray:
        decoded.append(1)
        return np.zeros((4, 4, 3), np.uint8)

    for _ in range(2):
        cache.get("tile", decode)
    cache.clear()
    cache.get("tile", decode)
    assert len(decoded) == 2
