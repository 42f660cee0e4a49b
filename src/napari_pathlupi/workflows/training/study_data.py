"""What a study learns from: its tables and bags, read and matched."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.cohort import Cohort, Pairing
from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.folds import Folds, Rows
from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import FeaturesError, MismatchError, TableError, UnstatedError, reason_of
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.molecular.expression import level_out
from napari_pathlupi.molecular.gene_sets import GeneSets, hallmark, read_gene_sets
from napari_pathlupi.molecular.tables import Expression, ReadingOptions, read_expression
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.cases.cohort_table import CohortColumns, find_slides, read_cohort
from napari_pathlupi.workflows.cases.split import split, split_notes, with_validation
from napari_pathlupi.workflows.cases.split_file import read_split
from napari_pathlupi.workflows.prediction.features import is_store
from napari_pathlupi.workflows.training.bags import Bags, Features, Shelf
from napari_pathlupi.workflows.training.study_config import HALLMARK, MEAN, StudyConfig
from napari_pathlupi.workflows.training.study_task import task_of, training_notes
from napari_pathlupi.workflows.training.validation import HeldOut

_SHOWN = "give the µm per pixel with --mpp, and their side in such pixels"
FEATURE_ENDINGS = (".h5", ".hdf5", ".npy", ".pt", ".h5ad", ".zarr", ".pth")


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the bags of a study lie, and how each is read.

    Parameters
    ----------
    names
        Of the slides.
    load
        What returns the bag of a slide with its tiles; None for an .npy file, which holds vectors alone.
    shelf
        What was read last.
    """

    names: Sequence[str]
    load: Mapping[str, Callable[[], FeatureBag] | None]
    shelf: Shelf

    def read(self, slide: str) -> Features:
        """Return the vectors of a slide."""
        return self.shelf.get(slide, lambda: _vectors(slide, self.load[slide]))

    def tiles(self, slide: str) -> TileGrid | None:
        """Return the tiles of a slide; None where its file does not say where they lie."""
        load = self.load[slide]
        return None if load is None else load().grid


@dataclass(frozen=True, slots=True, eq=False)
class StudyData:
    """Tables and bags of a study, matched.

    Parameters
    ----------
    cohort
        The cases that train something.
    folds
        What each does in each fold.
    task
        As set; each fold fits it on its own training cases.
    identity
        The patch encoder of all bags.
    bags, owners
        As of `TrainingCases`.
    places
        The slides, for their tiles.
    expression
        Rows of the cases that have any; None without.
    gene_sets
        By name.
    pairing
        Who had what, before cases that train nothing were left out.
    notes
        What was read, done and left out, a sentence each.
    """

    cohort: Cohort
    folds: Folds
    task: CataloguePart
    identity: EncoderIdentity
    bags: Bags
    owners: npt.NDArray[np.int64] | None
    places: Places
    expression: pd.DataFrame | None
    gene_sets: GeneSets
    pairing: Pairing
    notes: tuple[str, ...]

    def bags_of(self, rows: Rows) -> tuple[Bags, npt.NDArray[np.int64] | None]:
        """Return the bags of some cases, and the row among these that each belongs to."""
        if self.owners is None:
            return self.bags.take(rows), None
        own = [np.flatnonzero(self.owners == row) for row in rows]
        chosen = np.concatenate([*own, np.zeros(0, np.int64)])
        return self.bags.take(chosen), np.repeat(np.arange(len(rows)), [len(one) for one in own])

    def held_out(self, rows: Rows) -> HeldOut:
        """Return some cases to be scored on."""
        bags, owners = self.bags_of(rows)
        return HeldOut(bags, self.cohort.wanted[rows], owners)


def study_data_steps(config: StudyConfig) -> Steps[StudyData]:
    """Yield progress and return what a study learns from; every bag is looked at once.

    Raises
    ------
    TableError, FeaturesError, MismatchError, SettingsError
        When a table or a bag cannot be used; the message names it.
    """
    yield Progress("Reading tables", 0, 0)
    part = config.cohort
    columns = CohortColumns(part.case, part.slide, part.site, part.fold)
    cohort = read_cohort(part.table, config.task.endpoint, columns)
    places = places_of(config, cohort)
    cohort = find_slides(cohort, places.names)
    expression, gene_sets = _expression(config)
    pairing = cohort.pairing(expression.cases if expression else ())
    cohort = cohort.only(pairing.usable.tolist())
    if not len(cohort):
        raise TableError(f"no case of {part.table} can be trained on: {pairing.words}")
    folds = _folds(config, cohort)
    identity, bags, owners = yield from _bags(config, cohort, places)
    plan = config.folds
    own = ("folds.from_table = false deals others.",) if cohort.folds and plan.from_table and not plan.file else ()
    of_folds = (*split_notes(folds, cohort), *own, *training_notes(cohort, folds))
    notes = (*config.notes, pairing.words, *cohort.notes, *(expression.notes if expression else ()), *of_folds)
    return StudyData(
        cohort,
        folds,
        task_of(config.task, cohort, folds),
        identity,
        bags,
        owners,
        places,
        None if expression is None else expression.table,
        gene_sets,
        pairing,
        notes,
    )


def _expression(config: StudyConfig) -> tuple[Expression | None, GeneSets]:
    part = config.expression
    sets = hallmark() if part.gene_sets == HALLMARK else read_gene_sets(part.gene_sets)
    if not part.table or not config.train.objective:
        return None, sets
    options = ReadingOptions(part.unit, part.genes_in, part.probe_map, part.duplicates, part.clip)
    expression = read_expression(part.table, options)
    if part.level_out:
        words = f"From each case the mean of its measured genes was taken (of {expression.table.shape[1]})."
        expression = replace(expression, table=level_out(expression.table), notes=(*expression.notes, words))
    return expression, sets


def _folds(config: StudyConfig, cohort: Cohort) -> Folds:
    if config.folds.file:
        return with_validation(read_split(config.folds.file, cohort), cohort, config.folds)
    if config.folds.from_table and cohort.folds:
        return with_validation(cohort.folds, cohort, config.folds)
    return split(cohort, config.folds)


def places_of(config: StudyConfig, cohort: Cohort) -> Places:
    """Return where the bags of a cohort lie: in the folder or store of the study, or where its table says."""
    stated, place, shelf = config.features, config.cohort.bags, Shelf(int(config.run.memory_gb * (1 << 30)))
    load: dict[str, Callable[[], FeatureBag] | None] = {}
    if not place:  # the table names the files
        files = [Path(config.cohort.table).parent / slide for case in cohort.cases for slide in case.slides]
    elif is_store(place):
        named = encoder_named(stated.encoder)
        for bag in FeatureStore(place).stored():
            if named in ("", bag.encoder.name):
                load[bag.slide.name] = bag.load
        files = []
    elif Path(place).is_dir():
        files = sorted(file for file in Path(place).rglob("*") if file.name.lower().endswith(FEATURE_ENDINGS))
    else:
        raise FeaturesError(f"{place} is neither a folder of features nor a store: check cohort.bags.")
    for file in files:
        load[str(file)] = None if file.suffix == ".npy" else partial(read_bag, file, stated=stated)
    if not load:
        raise FeaturesError(f"{place} holds no features (files ending in {', '.join(FEATURE_ENDINGS)}).")
    return Places(list(load), load, shelf)


def _vectors(name: str, load: Callable[[], FeatureBag] | None) -> Features:
    if load is not None:
        return load().features
    try:
        vectors: Features = np.load(name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FeaturesError(f"{name} cannot be read ({reason_of(error)}): copy it again.") from error
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise FeaturesError(f"{name} holds {vectors.dtype} of shape {vectors.shape}, not (tiles, numbers) of floats.")
    return vectors


def _bags(
    config: StudyConfig, cohort: Cohort, places: Places
) -> Steps[tuple[EncoderIdentity, Bags, npt.NDArray[np.int64] | None]]:
    slides = [slide for case in cohort.cases for slide in case.slides]
    identity: EncoderIdentity | None = None
    for done, slide in enumerate(slides):
        yield Progress("Looking at features", done, len(slides))
        with asked_in_settings():
            identity = same_encoder(identity, slide, places, config.features)
    assert identity is not None  # a usable case has a slide
    if config.cohort.slides == MEAN:
        owners = np.repeat(np.arange(len(cohort)), [len(case.slides) for case in cohort.cases])
        return identity, Bags.of([partial(places.read, slide) for slide in slides], identity), owners
    readers = [partial(_union, places, case.slides) for case in cohort.cases]
    return identity, Bags.of(readers, identity), None


def _union(places: Places, slides: Sequence[str]) -> Features:
    bags = [places.read(slide) for slide in slides]
    return bags[0] if len(bags) == 1 else np.concatenate(bags)


def same_encoder(before: EncoderIdentity | None, slide: str, places: Places, stated: Stated) -> EncoderIdentity:
    """Return the encoder of a slide's features.

    Raises
    ------
    MismatchError
        When it is not that of the slides before.
    UnstatedError
        When nobody says which it is.
    """
    load = places.load[slide]
    if load is None:
        found = _stated_identity(slide, places.read(slide).shape[1], stated)
    else:
        bag = load()
        found = bag.encoder
        places.shelf.get(slide, lambda: bag.features)
    if before is not None and found != before:
        raise MismatchError(
            f"{Path(slide).name} is of {found}, the others are of {before}: train on features of one encoder."
        )
    return found


@contextmanager
def asked_in_settings() -> Iterator[None]:
    """Ask for what files of features do not say by its key in a file of settings instead of its flag."""
    try:
        yield
    except UnstatedError as error:
        words = str(error).replace("the slide with --slide or ", "")
        raise FeaturesError(
            re.sub(r"--([a-z0-9-]+)", lambda flag: f"features.{flag[1].replace('-', '_')}", words)
        ) from error


def _stated_identity(slide: str, dim: int, stated: Stated) -> EncoderIdentity:
    name = encoder_named(stated.encoder)
    if not name:
        raise UnstatedError(f"{Path(slide).name} does not say which encoder made its {dim} numbers", "encoder")
    if name in patch_encoders:
        entry = patch_encoders[name]
        if entry.dim != dim:
            raise MismatchError(f"{name} gives {entry.dim} numbers per tile, {Path(slide).name} holds {dim}.")
        known: EncoderIdentity = getattr(entry, "identity", None) or entry.identity_of("")
        return known
    if not (stated.tile_px and stated.mpp):
        raise UnstatedError(f"{Path(slide).name} does not say which tiles {name} was shown", "tile_px", _SHOWN)
    return EncoderIdentity(name, "", dim, stated.tile_px, stated.mpp)
