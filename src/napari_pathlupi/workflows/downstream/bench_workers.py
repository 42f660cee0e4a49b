"""One function on many things: one after another, on local Dask workers, or on a cluster."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.core.progress import CancelFlag
from napari_pathlupi.errors import SettingsError, words_of
from napari_pathlupi.workflows.embedding.cohort_cluster import RETRIES, connected

Thing = TypeVar("Thing")
Made = TypeVar("Made")

THREADS, PROCESSES = "threads", "processes"
_LOOK_S = 0.2


def finished(
    make: Callable[[Thing], Made],
    failed: Callable[[Thing, str], Made],
    things: Sequence[Thing],
    scheduler: str = "",
    workers: int = 2,
    cancel: CancelFlag | None = None,
) -> Iterator[Made | None]:
    """Yield what is made of each thing as soon as it is; None now and then meanwhile.

    Parameters
    ----------
    make, things
        What is done, and to what; it raises nothing that a user can mend.
    failed
        What is said of a thing instead, and why, when its workers died.
    scheduler, workers
        As of `napari_pathlupi.workflows.downstream.config.BenchConfig`.
    cancel
        Asks to stop; what is at work on a cluster is given up.

    Raises
    ------
    MissingExtraError
        When ``distributed`` is absent or broken, and wanted.
    SettingsError
        When no scheduler answers at the address.
    """
    if not scheduler:
        for thing in things:
            if cancel:
                return
            yield make(thing)
        return
    if not things:
        return
    with _client(scheduler, workers) as (library, client):
        submitted = {client.submit(make, thing, pure=False, retries=RETRIES): thing for thing in things}
        yield from _as_they_end(library, submitted, failed, cancel)


def _as_they_end(
    library: Any, submitted: Mapping[Any, Thing], failed: Callable[[Thing, str], Made], cancel: CancelFlag | None
) -> Iterator[Made | None]:
    ended = library.as_completed(submitted, raise_errors=False)
    try:
        while not cancel and ended.count():
            if not ended.has_ready():
                time.sleep(_LOOK_S)
                yield None
                continue
            for future in ended.next_batch(block=False):
                error = future.exception()
                yield future.result() if error is None else failed(submitted[future], words_of(error))
    finally:
        for future in submitted:
            future.cancel()


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator[tuple[Any, Any]]:
    """The library, and a client of the workers that are meant."""
    library = load_extra("distributed", "distributed")
    if scheduler not in (THREADS, PROCESSES):
        with connected(library, scheduler) as client:
            yield library, client
        return
    if workers < 1:
        raise SettingsError(f"{workers} workers are not possible: 1 is needed at least.")
    apart = scheduler == PROCESSES
    with (
        library.LocalCluster(
            n_workers=workers if apart else 1,
            threads_per_worker=1 if apart else workers,
            processes=apart,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        library.Client(cluster) as client,
    ):
        yield library, client
