"""The same on a Dask cluster: a slide per task, and a worker that dies loses nothing."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import SettingsError, words_of
from napari_pathlupi.slides._url import SlideUrl
from napari_pathlupi.store._lock import STALE_S
from napari_pathlupi.workflows.embedding.cohort import Order, embed_entry
from napari_pathlupi.workflows.embedding.cohort_list import Entry
from napari_pathlupi.workflows.embedding.cohort_summary import FAILED, IN_USE, Row, Summary

GPU = "GPU"
"""Resource that workers declare; where one does, each slide takes one."""
RETRIES = 3
"""How often a slide is tried again after its worker died or stumbled (our choice)."""
LATER_S = 2.0
"""A slide that another process writes, perhaps a worker that died, is tried again this much later (our choice)."""
PATIENCE_S = STALE_S + 60
"""How long: a lock of another machine counts as dead only after a while."""
CONNECT_S = 20
LOOK_S = 0.1


def embed_on_cluster_steps(
    entries: Sequence[Entry], order: Order, address: str, cancel: CancelFlag | None = None
) -> Steps[list[Row]]:
    """Yield progress and return one row per entry, in their order, each slide embedded by some worker of a cluster.

    Workers see slides and store at the same places. A slide whose worker dies goes on elsewhere after its last commit.

    Parameters
    ----------
    entries, order, cancel
        As of `napari_pathlupi.workflows.embedding.cohort.embed_cohort_steps`; slides at work when asked to stop are
        finished.
    address
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    MissingExtraError
        When ``distributed`` is absent or broken.
    SettingsError
        When no scheduler answers there, or it has no worker.
    """
    library, total = load_extra("distributed", "distributed"), len(entries)
    entries, order = for_workers(entries, order)
    with Summary(entries, order.store) as summary, connected(library, address) as client:
        work = _Work(library, client, entries, order)
        work.submit(summary.open)
        try:
            while work.waits and not cancel:
                for index, row in work.settled():
                    summary.settle(index, row)
                    yield Progress("Embedding slides", len(summary), total, row, str(row))
                yield Progress("Embedding slides", len(summary), total)
        finally:
            work.give_up()
    return summary.rows


def for_workers(entries: Sequence[Entry], order: Order) -> tuple[list[Entry], Order]:
    """Return the same with whole paths: workers may have been started in another folder."""
    sent = replace(order, store=_whole(order.store), weights=_whole(order.weights), tissue=_whole(order.tissue))
    return [replace(entry, place=_whole(entry.place)) for entry in entries], sent


def _whole(place: str) -> str:
    return place if not place or SlideUrl.of(place) else str(Path(place).absolute())


class _Work:
    """Slides that are with the cluster, and those that wait to be tried again."""

    def __init__(self, library: ModuleType, client: Any, entries: Sequence[Entry], order: Order) -> None:
        self._library, self._client, self._entries, self._order = library, client, entries, order
        self._ended = library.as_completed(raise_errors=False)
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        self._needs = {GPU: 1} if any(GPU in worker.get("resources", {}) for worker in workers) else {}
        self._with: dict[Any, int] = {}
        self._later: dict[int, float] = {}
        self._begun = time.monotonic()

    @property
    def waits(self) -> bool:
        return bool(self._with or self._later)

    def submit(self, indices: Sequence[int]) -> None:
        call = partial(self._client.submit, embed_entry, pure=False, retries=RETRIES, resources=self._needs)
        futures = {call(self._entries[index], self._order): index for index in indices}
        self._with |= futures
        self._ended.update(futures)

    def settled(self) -> list[tuple[int, Row]]:
        """Rows of what has ended since, after a moment if nothing has."""
        now = time.monotonic()
        due = [index for index, when in self._later.items() if when <= now]
        self._later = {index: when for index, when in self._later.items() if index not in due}
        self.submit(due)
        if not self._ended.has_ready():
            time.sleep(LOOK_S)
            return []
        rows = []
        for future in self._ended.next_batch(block=False):
            index = self._with.pop(future)
            row = self._row_of(future, self._entries[index])
            if row.outcome == IN_USE and now - self._begun < PATIENCE_S:
                self._later[index] = now + LATER_S
            else:
                rows.append((index, row))
        return rows

    def _row_of(self, future: Any, entry: Entry) -> Row:
        error = future.exception()
        if error is None:
            row: Row = future.result()
            return row
        if isinstance(error, self._library.scheduler.KilledWorker):
            return Row(entry.shown, entry.case, FAILED, "every worker that tried it died: see their logs.")
        return Row(entry.shown, entry.case, FAILED, str(error) or type(error).__name__)

    def give_up(self) -> None:
        self._client.cancel(list(self._with))


def connected(library: ModuleType, address: str) -> Any:
    """Return a client of a cluster that has a worker.

    Raises
    ------
    SettingsError
        When no scheduler answers there, or it has no worker.
    """
    try:
        client = library.Client(address, timeout=CONNECT_S)
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError as error:
        raise SettingsError(f"{address} has no worker within {CONNECT_S} s: start some, then again.") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"no scheduler answers at {address} ({words_of(error)}): check the address.") from error
    return client
