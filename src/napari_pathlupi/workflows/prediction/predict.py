"""What the button does: a slide and a model in, an answer and a map out, from one forward pass."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.embeddings import SlideEmbedding
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps, Timing, run
from napari_pathlupi.core.results import Evidence, Prediction, Provenance
from napari_pathlupi.core.settings import as_dict
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.core.tissue import FOUND, TissueMask
from napari_pathlupi.errors import Cancelled, SlideError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding.embed import load_encoder
from napari_pathlupi.workflows.embedding.pipeline import Pipeline, SlideTiles
from napari_pathlupi.workflows.embedding.tile import TiledConfig, find_tissue_on, tile
from napari_pathlupi.workflows.prediction.classify_tiles import TileClassifier

if TYPE_CHECKING:
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble

SECONDS_BETWEEN_PROVISIONAL = 1.0
"""A provisional answer is made at most this often: it costs a pass over all tiles read so far (our choice)."""
COMPUTED_WITH = ("napari-pathlupi", "numpy", "torch", "tifffile", "simplejpeg")


@dataclass(frozen=True, slots=True)
class PredictConfig(TiledConfig):
    """How a slide is read for a prediction: as for embedding, and what is told of it.

    Parameters
    ----------
    gene_sets
        Gene sets to map tile by tile, of a model trained with them; several may be joined by commas.
    """

    gene_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a prediction will look at, before it does.

    Parameters
    ----------
    tissue
        What lies where on the slide.
    grid
        The tiles to be read.
    device
        What they will be encoded on, in words.
    order
        (N,) in which order the tiles are read; None as they stand in the grid. It changes no result.
    """

    tissue: TissueMask
    grid: TileGrid
    device: str
    order: npt.NDArray[np.intp] | None = None

    @property
    def sentence(self) -> str:
        """What will happen, for the line under the button."""
        tiles = f"{len(self.grid):,} tiles of {self.grid.tile_px} px at {self.grid.mpp:g} µm/px · {self.device}"
        return tiles if self.tissue.origin == FOUND else f"{tiles} · tissue {self.tissue.origin}"


def plan(
    slide: Slide,
    bundle: Bundle,
    config: PredictConfig | None = None,
    regions: Sequence[BaseGeometry] = (),
    tissue: TissueMask | None = None,
) -> Plan:
    """Return what a prediction would look at: about a second of work, no network is run.

    Parameters
    ----------
    slide, bundle
        What to predict on, and with what.
    config
        How to read the slide.
    regions
        Polygons in level-0 pixels; none means the whole slide.
    tissue
        What lies where, when somebody said so; None looks for it.

    Raises
    ------
    MppUnknownError, UnsuitableSlideError, NoTissueError, MismatchError
        When this model cannot judge this slide, with the reason in one sentence.
    """
    config = config or PredictConfig()
    encoder = bundle.card.patch_encoder.identity
    if not isinstance(bundle, TileClassifier):
        patch_encoders[encoder.name].must_make(encoder, f"the model {bundle.card.title!r}")
    tissue = tissue or find_tissue_on(slide)
    grid = tile(slide, encoder.tile_px, encoder.mpp, config.tiles, regions, tissue)
    return Plan(tissue, grid, choose_device(config.device).words)


def predict_steps(
    slide: Slide,
    bundle: Bundle,
    config: PredictConfig | None = None,
    regions: Sequence[BaseGeometry] = (),
    cancel: CancelFlag | None = None,
    tissue: TissueMask | None = None,
) -> Steps[Prediction]:
    """Yield progress, now and then with a provisional prediction, and return the prediction.

    Parameters and errors are those of `plan` and `planned_steps`.
    """
    yield Progress("Looking for tissue", 0, 0)
    what = plan(slide, bundle, config, regions, tissue)
    return (yield from planned_steps(slide, bundle, config or PredictConfig(), what, cancel))


def planned_steps(
    slide: Slide,
    bundle: Bundle,
    config: PredictConfig,
    what: Plan,
    cancel: CancelFlag | None = None,
    keep_features: bool = False,
) -> Steps[Prediction]:
    """Yield progress and return the prediction that was planned.

    Asked to stop by ``cancel``, it ends after the batch at hand and returns what was read so far, marked partial. Of a
    model with maps of gene sets, ``keep_features`` keeps the tile vectors that more maps are made from.

    Raises
    ------
    Cancelled
        When asked to stop before anything was read.
    PathlupiError
        When the slide, the model or the device will not do; never a RuntimeError.
    """
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble
    from napari_pathlupi.workflows.prediction.gene_sets import asked_sets, with_gene_sets

    model = bundle if isinstance(bundle, TileClassifier) else Ensemble.from_bundle(bundle)
    names = asked_sets(model.mapped_sets, config.gene_sets)
    work = _Run(slide, bundle, replace(config, gene_sets=names), what, model)
    last = time.monotonic()
    for progress in work.read() if not cancel else ():
        if time.monotonic() - last > SECONDS_BETWEEN_PROVISIONAL and not cancel:
            progress = replace(progress, partial=work.prediction())
            last = time.monotonic()
        yield progress
        if cancel:
            break
    if not work.seen.any():
        raise Cancelled("Stopped before the first tile was read: there is nothing to show.")
    kept = work.features if keep_features else None
    return with_gene_sets(work.prediction(), model, work.features, names, kept)


def predict(
    slide: Slide,
    bundle: Bundle,
    config: PredictConfig | None = None,
    regions: Sequence[BaseGeometry] = (),
    tissue: TissueMask | None = None,
) -> Prediction:
    """Return what a model says of a slide: `predict_steps` without the steps."""
    return run(predict_steps(slide, bundle, config, regions, tissue=tissue))


class _Run:
    """The state of one prediction: which tiles are read, and their vectors."""

    def __init__(
        self, slide: Slide, bundle: Bundle, config: PredictConfig, what: Plan, model: "Ensemble | TileClassifier"
    ) -> None:
        self.slide, self.bundle, self.config, self.plan, self.model = slide, bundle, config, what, model
        self.features = np.empty((len(what.grid), bundle.card.patch_encoder.dim), np.float32)
        self.seen = np.zeros(len(what.grid), bool)
        self.failed = 0
        self.notes: tuple[str, ...] = ()
        self.embeds_by = model.embeds_by
        self.timing: Timing | None = None

    def read(self) -> Iterator[Progress]:
        total = len(self.plan.grid)
        card, device = self.bundle.card, choose_device(self.config.device)
        own = self.bundle if isinstance(self.bundle, TileClassifier) else None
        loaded = own.load(device.name) if own else load_encoder(card.patch_encoder.name, device)
        card.patch_encoder.identity.must_fit(loaded.identity, f"the model {card.title!r}")
        if not card.patch_encoder.version:
            self.notes = (
                f"The model does not say with which weights its tiles were embedded; here {loaded.identity}.",
            )
        pipeline = Pipeline(loaded, device, self.config)
        order = np.arange(total) if self.plan.order is None else self.plan.order
        for batch in pipeline.batches([SlideTiles(self.slide, self.plan.grid.take(order))]):
            if len(batch.indices):
                self.features[order[batch.indices]] = batch.features
                self.seen[order[batch.indices]] = True
            self.failed += batch.failed
            done = int(self.seen.sum()) + self.failed
            self.timing = pipeline.timing(total - done)
            yield Progress("Reading", done, total, message=batch.message, timing=self.timing)
        if self.failed == total:
            raise SlideError(f"none of the {total} tiles of {self.slide.path.name} can be decoded: copy it again.")

    def prediction(self) -> Prediction:
        output = self.model.infer(self.features[self.seen])
        failed = [f"{self.failed:,} of {len(self.seen):,} tiles could not be decoded: left out and marked."]
        return Prediction(
            answer=output.answer,
            grid=self.plan.grid,
            attention=None if output.attention is None else self._spread(output.attention),
            evidence=Evidence(tuple(self.model.evidence_names), self._spread(output.evidence), output.evidence_method),
            reference=output.reference,
            provenance=provenance_of(
                self.bundle,
                self.plan.grid,
                (self.slide.path.name, self.slide.fingerprint),
                self.plan.device,
                as_dict(self.config) | {"tissue": self.plan.tissue.origin} | self.slide.choice.stated(),
                self.timing,
            ),
            activity=output.activity,
            notes=(*failed[: bool(self.failed)], *self.notes, *output.notes),
            failed=self.failed,
            heads={name: self._spread(shares) for name, shares in output.heads.items()},
            embedding=SlideEmbedding.of(output.embedding, self.embeds_by),
        )

    def _spread(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        everywhere = np.full((len(self.seen), *values.shape[1:]), np.nan, np.float32)
        everywhere[self.seen] = values
        return everywhere


def provenance_of(
    bundle: Bundle,
    grid: TileGrid,
    slide: tuple[str, str],
    device: str,
    settings: Mapping[str, Any],
    timing: Timing | None = None,
) -> Provenance:
    """Return where a result of a model comes from, made now; ``slide`` is its name and fingerprint."""
    card, mpp = bundle.card, grid.slide_mpp
    return Provenance(
        slide_name=slide[0],
        fingerprint=slide[1],
        slide_mpp=(mpp.y, mpp.x),
        slide_mpp_source=mpp.source,
        model=card.title,
        model_digest=bundle.digest,
        patch_encoder=str(card.patch_encoder.identity),
        slide_encoder=card.slide_encoder.name,
        device=device,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        versions={name: version(name) for name in COMPUTED_WITH},
        settings=settings,
        timing=timing.as_dict() if timing else {},
    )
