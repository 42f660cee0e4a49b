"""Slides to features in a store, one after the other, each going on where it stopped."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, Timing
from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import OutputError, PathlupiError, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.store import BagWriter, FeatureStore, SlideFacts
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding.embed import load_encoder
from napari_pathlupi.workflows.embedding.pipeline import Batch, EmbedConfig, Pipeline, SlideTiles

if TYPE_CHECKING:
    from napari_pathlupi.core.features import EncoderIdentity
    from napari_pathlupi.patch_encoders._encoder import Loaded

COMPUTED_WITH = ("napari-pathlupi", "numpy", "torch", "tifffile", "simplejpeg")


@dataclass(frozen=True, slots=True)
class Errand:
    """One slide to embed.

    Parameters
    ----------
    name
        What it is called in progress and outcome.
    prepare
        Opens the slide and returns it with its tiles; called in a thread, while the slide before is being encoded.
    settings
        What of its settings is to stand in the store, as JSON values.
    """

    name: str
    prepare: Callable[[], tuple[Slide, TileGrid]]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand.

    Parameters
    ----------
    name, fingerprint
        Of the errand, and of the slide; "" when it could not be opened.
    stored, tiles
        Tiles that the store holds, and that there are.
    encoded
        How many of them were encoded in this run.
    error
        What went wrong; None when nothing did, also when it was asked to stop.
    timing
        Speed, and where the time went.
    """

    name: str
    fingerprint: str = ""
    stored: int = 0
    tiles: int = 0
    encoded: int = 0
    error: PathlupiError | None = None
    timing: Timing | None = None


def embed_into_store_steps(
    errands: Iterable[Errand],
    encoder: "str | Loaded",
    store: FeatureStore,
    config: EmbedConfig | None = None,
    cancel: CancelFlag | None = None,
) -> Steps[list[Outcome]]:
    """Yield progress and return what became of each slide; what the store holds already is not computed again.

    While one slide is encoded the next is opened, its tissue found and its first tiles read. Progress counts the tiles
    of the slide at hand; each outcome is the ``partial`` of a step of its own. Asked to stop, it keeps what was
    encoded; slides that it did not come to have no outcome.

    Raises
    ------
    InferenceError
        When the device fails, or has too little memory even for one tile.
    OutputError
        When the store cannot be written, for instance because the disk is full.
    """
    config = config or EmbedConfig()
    device = choose_device(config.device)
    loaded = load_encoder(encoder, device)
    pipeline = Pipeline(loaded, device, config)
    about = as_dict(config) | {"precision": loaded.precision, "device_words": device.words}
    works = (_Work.begin(errand, store, loaded.identity, about) for errand in errands)
    cohort = _Cohort(_ahead(works), pipeline)
    batches = pipeline.batches(cohort.slides())
    outcomes: list[Outcome] = []
    try:
        for batch in batches:
            yield from cohort.take(batch)
            yield from cohort.ended(outcomes)
            if cancel:
                break
    finally:
        batches.close()
        cohort.close()
    yield from cohort.ended(outcomes)
    return outcomes


def _ahead(works: "Iterator[_Work]") -> "Generator[_Work]":
    """The same, each begun in a thread while the one before is at work."""
    with ThreadPoolExecutor(1, thread_name_prefix="next-slide") as pool:
        upcoming = pool.submit(next, works, None)
        try:
            while (work := upcoming.result()) is not None:
                upcoming = pool.submit(next, works, None)
                yield work
        finally:
            if not upcoming.cancel() and upcoming.exception() is None and (unused := upcoming.result()):
                unused.close()


class _Work:
    """An errand that was begun: its slide is open, its group in the store locked."""

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.error: PathlupiError | None = None
        self.tiles: SlideTiles | None = None
        self.writer: BagWriter | None = None
        self.about: dict[str, Any] = {}
        self.taken = self.first = 0

    @classmethod
    def begin(cls, errand: Errand, store: FeatureStore, encoder: "EncoderIdentity", about: dict[str, Any]) -> "_Work":
        work = cls(errand)
        try:
            slide, grid = errand.prepare()
            work.tiles = SlideTiles(slide, grid)
            mpp = grid.slide_mpp
            facts = SlideFacts(slide.path.name, slide.fingerprint, (mpp.y, mpp.x), mpp.source)
            work.writer = writer = store.writer(facts, grid, encoder)
        except OutputError:
            work.close()
            raise
        except PathlupiError as error:
            work.fail(error)
            return work
        work.taken = work.first = work.tiles.first = writer.done
        work.tiles.batch_size = 0 if about["batch_size"] else writer.batch_size
        work.about = about | errand.settings | slide.choice.stated()
        return work

    @property
    def over(self) -> bool:
        """Whether there is nothing left to encode."""
        return self.writer is None or self.tiles is None or self.taken == len(self.tiles.grid)

    def fail(self, error: PathlupiError) -> None:
        self.error = error
        if self.tiles is not None:
            self.tiles.abandoned = True

    def take(self, batch: Batch) -> None:
        """Store a batch; what is wrong with this slide alone is kept as its error."""
        if self.error is not None or self.writer is None:
            return
        if batch.failed:
            name = batch.tiles.slide.path.name
            self.fail(SlideError(f"{name}: {batch.failed} tiles cannot be decoded: copy the file again."))
            return
        try:
            self.writer.append(batch.features)
        except OutputError:
            raise
        except PathlupiError as error:
            self.fail(error)
            return
        self.taken += len(batch.features)

    def end(self, timing: Timing, batch_size: int) -> Outcome:
        """Keep what there is and say in the store how it went."""
        stored = tiles = 0
        if self.writer is not None and self.tiles is not None:
            tiles = len(self.tiles.grid)
            if self.taken > self.first:
                self.writer.keep()
                self.writer.note(batch_size, self._run(timing))
            stored = self.writer.done
        fingerprint = self.tiles.slide.fingerprint if self.tiles else ""
        return Outcome(self.errand.name, fingerprint, stored, tiles, self.taken - self.first, self.error, timing)

    def _run(self, timing: Timing) -> dict[str, Any]:
        return {
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "tiles": [self.first, self.taken],
            "versions": {name: version(name) for name in COMPUTED_WITH},
            "settings": self.about,
            "timing": timing.as_dict(),
            "error": str(self.error or ""),
        }

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        if self.tiles is not None:
            self.tiles.slide.close()


class _Cohort:
    """The slides at work, and what became of those that are done with."""

    def __init__(self, works: Generator[_Work], pipeline: Pipeline) -> None:
        self._works, self._pipeline = works, pipeline
        self._at_work: dict[SlideTiles, _Work] = {}
        self._last = pipeline.timing(0)
        self._fresh: deque[Outcome] = deque()

    def slides(self) -> Iterator[SlideTiles]:
        """Yield what is to be read; slides of which nothing is end at once."""
        for work in self._works:
            if work.tiles is None or work.over or work.error:
                self._end(work)
            else:
                self._at_work[work.tiles] = work
                yield work.tiles

    def take(self, batch: Batch) -> Iterator[Progress]:
        work = self._at_work.get(batch.tiles)
        if work is None:
            return
        try:
            work.take(batch)
        except OutputError:
            self._at_work.pop(batch.tiles).close()
            raise
        total = len(batch.tiles.grid)
        timing = self._pipeline.timing(total - work.taken)
        yield Progress(work.errand.name, work.taken, total, message=batch.message, timing=timing)
        if work.over or work.error:
            self._end(self._at_work.pop(batch.tiles))

    def ended(self, outcomes: list[Outcome]) -> Iterator[Progress]:
        """Move what has ended since to the outcomes, telling each."""
        while self._fresh:
            outcomes.append(self._fresh.popleft())
            yield Progress(outcomes[-1].name, outcomes[-1].stored, outcomes[-1].tiles, outcomes[-1])

    def _end(self, work: _Work) -> None:
        now = self._pipeline.timing(0)
        try:
            self._fresh.append(work.end(now.since(self._last), self._pipeline.size))
        finally:
            work.close()
        self._last = now

    def close(self) -> None:
        """Keep what was encoded of slides that are not done."""
        try:
            while self._at_work:
                self._end(self._at_work.popitem()[1])
        finally:
            for work in self._at_work.values():
                work.close()
            self._works.close()
