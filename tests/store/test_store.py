"""Features on disk."""

import errno
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from handmade import a_grid
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import InUseError, MismatchError, NotFoundError, OutputError, SettingsError
from napari_pathlupi.store import CHUNK_TILES, BagWriter, FeatureStore, SlideFacts
from napari_pathlupi.store import _lock as lock_module

ENCODER = EncoderIdentity("unit", "1", 8, 64, 0.5)
SLIDE = SlideFacts("a.svs", "f" * 32, (0.25, 0.25), "Aperio header")
ROWS = 700
GRID = a_grid(20, 35)
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features.zarr")


def write(writer: BagWriter, stop: int = ROWS, step: int = 48) -> None:
    for start in range(writer.done, stop, step):
        writer.append(FEATURES[start : min(start + step, stop)])


def test_what_is_stored_comes_back_with_its_grid(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    for slide in (SLIDE.fingerprint, SLIDE.name):
        bag = store.bag(slide, ENCODER)
        assert np.array_equal(bag.features, FEATURES)
        assert np.array_equal(bag.grid.origins_px0, GRID.origins_px0)
        assert np.array_equal(bag.grid.coverage, GRID.coverage)
        assert bag.grid.slide_mpp == GRID.slide_mpp
        assert (bag.encoder, bag.fingerprint) == (ENCODER, SLIDE.fingerprint)
    assert [bag.slide for bag in store.stored()] == [SLIDE]


def test_a_part_of_a_large_bag_is_read_without_the_rest(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    bag = store.find(SLIDE.name, ENCODER)
    assert np.array_equal(bag.rows(250, 262), FEATURES[250:262])
    next(Path(bag.place, "features", "c").glob("2/*")).unlink()
    assert np.array_equal(bag.rows(0, 512), FEATURES[:512])


@pytest.mark.parametrize("step", [1, 32, 48, 700])
def test_chunks_do_not_depend_on_how_the_tiles_came(store: FeatureStore, step: int) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer, step=step)
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)
    assert store.find(SLIDE.name, ENCODER).features.chunks == (CHUNK_TILES, 8)


def test_what_was_not_committed_is_asked_for_again_and_no_more(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer, 600)
    with pytest.raises(OutputError, match="holds 512 of 700 tiles"):
        store.bag(SLIDE.name, ENCODER)
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        assert writer.done == 512
        write(writer)
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_what_was_kept_on_stopping_is_not_computed_again(store: FeatureStore) -> None:
    for stop in (100, 600, ROWS):
        with store.writer(SLIDE, GRID, ENCODER) as writer:
            write(writer, stop)
            writer.keep()
            assert writer.done == stop
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_a_commit_whose_chunk_was_lost_or_damaged_does_not_count(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    chunk = Path(store.place, *store.find(SLIDE.name, ENCODER).place.split("/")[-2:], "features", "c", "1", "0")
    data = bytearray(chunk.read_bytes())
    data[100] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(OutputError, match="damaged"):
        store.bag(SLIDE.name, ENCODER)
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        assert writer.done == CHUNK_TILES
    chunk.unlink()
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        assert writer.done == CHUNK_TILES


def test_what_a_killed_process_was_writing_is_cleared_away(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer, 300)
    left_over = Path(store.find(SLIDE.name, ENCODER).place, "features", "c", "1", "0.abc.partial")
    left_over.parent.mkdir(exist_ok=True)
    left_over.write_bytes(bytes(9))
    store.writer(SLIDE, GRID, ENCODER).close()
    assert not left_over.exists()


def test_a_group_that_was_only_begun_is_made_anew(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER):
        pass
    group = Path(store.find(SLIDE.name, ENCODER).place)
    half = json.loads((group / "zarr.json").read_text()) | {"attributes": {}}
    (group / "zarr.json").write_text(json.dumps(half))
    assert list(store.stored()) == []
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_other_tiles_or_another_precision_are_refused(store: FeatureStore) -> None:
    store.writer(SLIDE, GRID, ENCODER).close()
    with pytest.raises(MismatchError, match=r"700 other tiles of a\.svs than the 5 asked for"):
        store.writer(SLIDE, a_grid(1, 5), ENCODER)
    with pytest.raises(MismatchError, match="float32"):
        FeatureStore(store.place, "float16").writer(SLIDE, GRID, ENCODER)
    with pytest.raises(SettingsError, match="choose float32"):
        FeatureStore(store.place, "bfloat16")


def test_half_precision_is_near_and_refuses_what_does_not_fit(store: FeatureStore) -> None:
    store = FeatureStore(store.place, "float16")
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    assert np.allclose(store.bag(SLIDE.name, ENCODER).features, FEATURES, rtol=1e-3, atol=1e-4)
    other = SlideFacts("b.svs", "e" * 32, (0.25, 0.25), "")
    with store.writer(other, GRID, ENCODER) as writer, pytest.raises(OutputError, match="float32"):
        writer.append(FEATURES[:CHUNK_TILES] * 1e6)


def test_a_second_writer_is_told_who_the_first_is(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER):
        with pytest.raises(InUseError, match=f"process {os.getpid()} on {socket.gethostname()} since"):
            store.writer(SLIDE, GRID, ENCODER)
        store.writer(SLIDE, GRID, EncoderIdentity("other", "1", 8, 64, 0.5)).close()
    store.writer(SLIDE, GRID, ENCODER).close()


@pytest.mark.parametrize(
    "other",
    [
        {"pid": 2**22 + 1, "host": socket.gethostname(), "seen": time.time()},
        {"pid": os.getpid(), "host": "elsewhere", "seen": time.time() - 3600},
    ],
)
def test_a_dead_lock_is_taken_over(store: FeatureStore, other: dict) -> None:
    store.writer(SLIDE, GRID, ENCODER).close()
    lock = Path(f"{store.find(SLIDE.name, ENCODER).place}.lock")
    lock.write_text(json.dumps({"owner": "x", "since": 0.0, **other}))
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    assert not lock.exists()


def test_a_lock_elsewhere_counts_while_it_is_renewed(store: FeatureStore) -> None:
    store.writer(SLIDE, GRID, ENCODER).close()
    lock = Path(f"{store.find(SLIDE.name, ENCODER).place}.lock")
    lock.write_text(json.dumps({"owner": "x", "since": 0.0, "pid": 1, "host": "elsewhere", "seen": time.time() - 60}))
    with pytest.raises(InUseError, match="process 1 on elsewhere"):
        store.writer(SLIDE, GRID, ENCODER)


def test_who_lost_the_lock_writes_no_more(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.writer(SLIDE, GRID, ENCODER)
    monkeypatch.setattr(lock_module, "_alive", lambda other: False)
    second = store.writer(SLIDE, GRID, ENCODER)
    with pytest.raises(InUseError):
        first.append(FEATURES[:CHUNK_TILES])
    first.close()
    write(second)
    second.close()
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_a_full_disk_is_told_and_the_next_run_goes_on(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with store.writer(SLIDE, GRID, ENCODER) as writer:
        writer.append(FEATURES[:300])
        with monkeypatch.context() as patch:
            patch.setattr("zarr.storage._local._put", full)
            with pytest.raises(OutputError, match="the disk is full: free some space and start again"):
                writer.append(FEATURES[300:600])
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        assert writer.done == 256
        write(writer)
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_an_address_of_fsspec_will_do() -> None:
    store = FeatureStore("memory://pathlupi-test/features.zarr")
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer, 600)
        with pytest.raises(InUseError):
            store.writer(SLIDE, GRID, ENCODER)
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        assert writer.done == 512
        write(writer)
    assert np.array_equal(store.bag(SLIDE.name, ENCODER).features, FEATURES)


def test_what_is_not_there_is_named(store: FeatureStore) -> None:
    with pytest.raises(NotFoundError, match=r"holds no features of a\.svs by unit \(1\)"):
        store.bag("a.svs", ENCODER)


def test_others_can_read_it_with_zarr_alone(store: FeatureStore) -> None:
    with store.writer(SLIDE, GRID, ENCODER) as writer:
        write(writer)
    group = zarr.open_group(store.find(SLIDE.name, ENCODER).place, mode="r")
    assert group["features"].shape == (ROWS, 8)
    assert group["grid/origins_px0"].shape == (ROWS, 2)
    assert group.attrs["pathlupi"]["slide"]["name"] == "a.svs"
