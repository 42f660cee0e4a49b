"""The octaves as Dask arrays: the same pixels by the graph and past it."""

import pickle
import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from addressed import address_of, addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides import Slide, _pyramid

SHAPE = 1000, 1500


@pytest.fixture
def slide(addressed_slide: Path):
    with open_slide(addressed_slide) as slide:
        yield slide


def test_every_octave_is_a_dask_array_in_chunks_that_hold_whole_tiles(slide: Slide) -> None:
    pyramid = slide.pyramid()
    assert all(isinstance(octave, da.Array) for octave in pyramid)
    assert [octave.shape for octave in pyramid[:3]] == [(1000, 1500, 3), (500, 750, 3), (250, 375, 3)]
    assert pyramid[0].chunks[0][0] % 64 == 0
    assert max(pyramid[-1].shape) <= _pyramid.COARSEST_PX


@pytest.mark.parametrize(
    "key",
    [
        (slice(300, 777), slice(5, 900)),
        (slice(0, 1000), slice(None), slice(None)),
        (slice(990, 2000), slice(-17, None)),
        (slice(256, 512), slice(256, 512), slice(0, 3)),
        (slice(40, 40), slice(10, 5)),
        (slice(100, 200),),
    ],
)
def test_a_rectangle_is_the_same_past_the_graph_and_by_it(slide: Slide, key: tuple[slice, ...]) -> None:
    wanted = addresses(SHAPE)[key]
    part = slide.pyramid()[0][key]
    assert part.shape == wanted.shape
    assert (np.asarray(part) == wanted).all()
    assert (part.compute(scheduler="sync") == wanted).all()
    assert (np.asarray(part[:, :]) == wanted).all()


def test_a_rectangle_of_a_rectangle_lies_where_numpy_puts_it(slide: Slide) -> None:
    part = slide.pyramid()[0][100:900, 200:1300][57:600, 31:-3]
    assert (address_of(np.asarray(part))[0, 0] == (157, 231)).all()
    assert (np.asarray(part) == addresses(SHAPE)[157:700, 231:1297]).all()


@pytest.mark.parametrize(
    "key", [5, (slice(None, None, 7), slice(3, 99)), (3, 4, 1), np.s_[10:20, 30:50, 1], np.s_[..., 0]]
)
def test_whatever_else_dask_can_index_it_still_can(slide: Slide, key: object) -> None:
    assert (np.asarray(slide.pyramid()[0][key]) == addresses(SHAPE)[key]).all()


def test_arithmetic_and_pickling_go_by_the_graph(slide: Slide) -> None:
    part = slide.pyramid()[0][10:600, 20:700]
    wanted = addresses(SHAPE)[10:600, 20:700]
    assert ((part // 2).compute(scheduler="sync") == wanted // 2).all()
    assert (pickle.loads(pickle.dumps(part)).compute(scheduler="sync") == wanted).all()
    assert np.asarray(part, dtype=np.float32).dtype == np.float32


def test_items_that_were_set_are_seen_and_leave_other_arrays_alone(slide: Slide) -> None:
    octave = slide.pyramid()[0]
    octave[:10, 20:] = 7
    wanted = addresses(SHAPE)
    wanted[:10, 20:] = 7
    assert (np.asarray(octave) == wanted).all()
    assert (np.asarray(octave[5:20, 15:40]) == wanted[5:20, 15:40]).all()
    assert (np.asarray(slide.pyramid()[0]) == addresses(SHAPE)).all()


@pytest.mark.parametrize("painters", [1, 2, 3, 7])
def test_any_number_of_painters_paints_the_same(slide: Slide, painters: int, monkeypatch) -> None:
    monkeypatch.setattr(_pyramid, "PAINTERS", painters)
    assert (np.asarray(slide.pyramid()[0][33:999, 1:1400]) == addresses(SHAPE)[33:999, 1:1400]).all()


def test_several_windows_may_paint_at_once(slide: Slide) -> None:
    octave, wanted, wrong = slide.pyramid()[0], addresses(SHAPE), []

    def paint(seed: int) -> None:
        for y, x in np.random.default_rng(seed).integers(0, 500, (20, 2)):
            if not (np.asarray(octave[y : y + 400, x : x + 400]) == wanted[y : y + 400, x : x + 400]).all():
                wrong.append((y, x))

    threads = [threading.Thread(target=paint, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_cannot_be_read_is_told_by_whoever_paints(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "gone.svs", [addresses(SHAPE)])
    octave = open_slide(path).pyramid()[0]
    path.unlink()
    with pytest.raises(Exception, match=r"gone.svs can no longer be read"):
        np.asarray(octave[0:900, 0:900])


def test_a_view_that_cannot_be_read_now_is_hatched_and_told_in_a_warning(addressed_slide: Path, tmp_path: Path) -> None:
    path = tmp_path / addressed_slide.name
    path.write_bytes(addressed_slide.read_bytes())
    with open_slide(path) as slide:
        octave = slide.pyramid()[0]
        part, aside = octave[300:400, 64:500], path.rename(tmp_path / "unplugged")
        with pytest.warns(UserWarning, match=f"{path.name} can no longer be read .* hatched"):
            hatched = np.asarray(part)
        with pytest.raises(SlideError):
            part.compute(scheduler="sync")
        aside.rename(path)
        assert np.array_equal(np.asarray(part), slide.read_level(0, (300, 64), (100, 436)))
    assert hatched.shape == (100, 436, 3)
    assert len(np.unique(hatched)) == 2
