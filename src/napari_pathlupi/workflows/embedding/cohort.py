"""Many slides into one store, each with its outcome and the reason for it."""

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.progress import CancelFlag, Steps, run
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import InferenceError, PathlupiError
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding.cohort_list import Entry
from napari_pathlupi.workflows.embedding.cohort_summary import IN_USE, Row, Summary, row_of
from napari_pathlupi.workflows.embedding.embed_store import Errand, Outcome, embed_into_store_steps
from napari_pathlupi.workflows.embedding.engine import choose_engine, compare
from napari_pathlupi.workflows.embedding.scale import open_at_scale
from napari_pathlupi.workflows.embedding.tile import TiledConfig, read_tissue_of, tile

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import Loaded

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class CohortConfig(TiledConfig):
    """How the slides of a cohort are read and encoded.

    Parameters
    ----------
    engine
        auto, torch or openvino: what runs the network on a CPU.
    """

    engine: str = "auto"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with every slide.

    Parameters
    ----------
    encoder
        Name in the catalogue.
    store
        Folder or address of the store.
    config
        How.
    weights
        File or folder with the encoder's weights, "" for where they usually are.
    tissue
        GeoJSON that outlines the tissue, or a folder of such files called after their slides; "" for looking for it.
    int8
        Whether a convolution net may compute in int8 on a CPU: another network in effect, which the store tells apart.
    choice
        Which plane and scene of every slide, in which colours.
    """

    encoder: str
    store: str
    config: CohortConfig = CohortConfig()
    weights: str = ""
    tissue: str = ""
    int8: bool = False
    choice: Choice = DEFAULT


def embed_cohort_steps(entries: Sequence[Entry], order: Order, cancel: CancelFlag | None = None) -> Steps[list[Row]]:
    """Yield progress and return one row per entry, in their order; ``summary.csv`` in the store has the same rows.

    Parameters
    ----------
    entries
        From `napari_pathlupi.workflows.embedding.cohort_list.list_slides`.
    order
        What to do with them.
    cancel
        Asks to stop; what was encoded is kept.

    Raises
    ------
    PathlupiError
        When encoder, device or store fail, so that no further slide can be embedded.
    """
    with Summary(entries, order.store) as summary:
        yield from _embed_open(entries, order, summary, cancel)
    return summary.rows


def embed_entry(entry: Entry, order: Order) -> Row:
    """Return what became of one slide: for the workers of a cluster, which embed one at a time."""
    summary = Summary([entry], "")
    with _ONE_AT_A_TIME:
        run(_embed_open([entry], order, summary, None))
    return summary.rows[0]


def _embed_open(entries: Sequence[Entry], order: Order, summary: Summary, cancel: CancelFlag | None) -> Steps[None]:
    """Embed all, and those in use once more: the next slide is begun while one is read, and may be a copy of it."""
    for again in (False, True):
        if not summary.open or cancel:
            return
        torch_one, loaded = _encoders(order)
        errands = [_errand(str(index), entries[index], order, torch_one, loaded) for index in summary.open]
        settings = {errand.name: errand.settings for errand in errands}
        for progress in embed_into_store_steps(errands, loaded, FeatureStore(order.store), order.config, cancel):
            if not isinstance(outcome := progress.partial, Outcome):
                yield replace(progress, stage=entries[int(progress.stage)].name)
                continue
            row = row_of(entries[int(outcome.name)], outcome, settings[outcome.name])
            if again or row.outcome != IN_USE:
                summary.settle(int(outcome.name), row)
                yield replace(progress, stage=entries[int(outcome.name)].name, partial=row, message=str(row))


@lru_cache(maxsize=1)
def _encoders(order: Order) -> "tuple[Loaded, Loaded]":
    """The encoder in torch, and in the engine that is used; kept, because a worker embeds slide after slide."""
    device = choose_device(order.config.device)
    weights = Path(order.weights) if order.weights else None
    loaded: Loaded = patch_encoders[order.encoder].load(device.name, weights)
    return loaded, choose_engine(loaded, order.config.engine, device, order.int8)


def _errand(name: str, entry: Entry, order: Order, torch_one: "Loaded", loaded: "Loaded") -> Errand:
    settings: dict[str, Any] = {"engine": loaded.engine} | ({"tissue": order.tissue} if order.tissue else {})
    return Errand(name, partial(_prepare, entry, order, torch_one, loaded, settings), settings)


def _prepare(
    entry: Entry, order: Order, torch_one: "Loaded", loaded: "Loaded", settings: dict[str, Any]
) -> tuple[Slide, TileGrid]:
    # a scale that a table states is not remembered: the table stays, and many workers would write at once
    if entry.mpp is not None:
        slide = open_slide(entry.place, entry.mpp, **asdict(order.choice))
    else:
        slide = open_at_scale(entry.place, choice=order.choice)[0]
    try:
        identity = loaded.identity
        mask = read_tissue_of(slide, Path(order.tissue)) if order.tissue else None
        grid = tile(slide, identity.tile_px, identity.mpp, order.config.tiles, mask=mask)
        if loaded.engine != torch_one.engine:
            agreement = compare(torch_one, loaded, slide, grid)
            settings |= {"engine_agreement": asdict(agreement), "engine_words": str(agreement)}
            if not agreement.good and not order.int8:
                raise InferenceError(f"{agreement} That is too far apart: choose the engine torch.")
    except PathlupiError:
        slide.close()
        raise
    return slide, grid
