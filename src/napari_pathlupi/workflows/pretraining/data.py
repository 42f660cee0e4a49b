"""What a pre-training learns from, read from files: tiles that stay where they are, and tables of measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.cohort import Case, Cohort, Endpoint, case_of
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.core.tables import read_cells
from napari_pathlupi.errors import FeaturesError, MismatchError, SettingsError, TableError
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.molecular.axes import some
from napari_pathlupi.molecular.dna import read_alterations
from napari_pathlupi.molecular.matching import matching
from napari_pathlupi.molecular.panels import read_panel, read_samples
from napari_pathlupi.molecular.scgpt_files import ScGPTFiles, read_scgpt
from napari_pathlupi.molecular.tables import ReadingOptions, read_expression
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.cases.cohort_table import CASE_COLUMNS, SLIDE_COLUMNS, find_slides
from napari_pathlupi.workflows.prediction.features import is_store
from napari_pathlupi.workflows.pretraining.case_tiles import FileTiles, JoinedTiles, StoredTiles
from napari_pathlupi.workflows.pretraining.config import PretrainStudy, RNAPart
from napari_pathlupi.workflows.pretraining.pairs import Molecules, PairedCases, Tiles
from napari_pathlupi.workflows.training.bags import Shelf
from napari_pathlupi.workflows.training.study_config import CohortPart, RunPart, StudyConfig
from napari_pathlupi.workflows.training.study_data import Places, asked_in_settings, places_of, same_encoder


@dataclass(frozen=True, slots=True, eq=False)
class PretrainData:
    """Cases to learn from, and what was read, done and left out, a sentence each."""

    cases: PairedCases
    notes: tuple[str, ...]


def pretrain_data_steps(config: PretrainStudy) -> Steps[PretrainData]:
    """Yield progress and return what a pre-training learns from.

    Raises
    ------
    TableError, FeaturesError, MismatchError, SettingsError
        When a table or a bag cannot be used; the message names it.
    """
    yield Progress("Reading tables", 0, 0)
    notes: list[str] = []
    tables = measured_tables(config, notes)
    names = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    with asked_in_settings():
        tiles, identity, cohort = yield from slide_tiles_steps(config, _cohort(config, names), notes)
    having = [case.name for case in cohort.cases if case.slides]
    notes += [matching(having, table.index, kind.upper()) for kind, table in tables.items()]
    kept = [case for case in cohort.cases if case.slides and any(case.name in table.index for table in tables.values())]
    kept = _without(kept, config.slides.leave_out, notes)
    if len(kept) < 2:
        raise TableError(f"{len(kept)} cases have both slides and RNA or DNA, at least 2 are needed. {' '.join(notes)}")
    own = [[tiles[slide] for slide in case.slides] for case in kept]
    joined = [one[0] if len(one) == 1 else JoinedTiles(one) for one in own]
    chosen = tuple(case.name for case in kept)
    molecules = _molecules(config, tables, chosen, notes)
    return PretrainData(PairedCases(joined, identity, molecules, chosen), tuple(notes))


def slide_tiles_steps(
    config: PretrainStudy, cohort: Cohort | None, notes: list[str]
) -> Steps[tuple[dict[str, Tiles], EncoderIdentity, Cohort]]:
    """Yield progress and return the tiles of the slides, who made them, and the cases with their slides.

    Parameters
    ----------
    config
        Where the features lie.
    cohort
        Whose slides are looked for; without it every slide is a case.
    notes
        What was found and left out is added.

    Raises
    ------
    FeaturesError, MismatchError, TableError
        When a bag cannot be used, or a slide belongs to two cases; the message names it.
    """
    places: Places | None = None
    tiles: dict[str, Tiles] = {}
    if is_store(config.slides.bags):
        tiles, identity = _stored(config, notes)
    else:
        places = _places(config)
    names = list(tiles) if places is None else places.names
    alone = tuple(Case(Path(name).stem, slides=(name,)) for name in names)
    cohort = Cohort(alone, Endpoint("none", ())) if cohort is None else find_slides(cohort, names)
    if places is not None:
        tiles, identity = yield from _in_files(config, cohort, places)
    notes += cohort.notes
    return tiles, identity, cohort


def case_cohort(config: PretrainStudy) -> Cohort | None:
    """Return the cases that the table of slides names; None without a table.

    Raises
    ------
    TableError
        When it cannot be read, or has no column of cases.
    """
    return _cohort(config, ()) if config.slides.table else None


def measured_tables(config: PretrainStudy, notes: list[str]) -> dict[str, pd.DataFrame]:
    """Return cases × columns of each kind of measurement, "rna" and "dna"; what was done is added to the notes.

    Raises
    ------
    SettingsError
        When nothing was measured, or a panel is missing.
    TableError
        When a table cannot be read.
    """
    tables, rna, dna = {}, config.rna, config.dna
    if rna.table:
        options = ReadingOptions(rna.unit, rna.genes_in, rna.probe_map, rna.duplicates, rna.clip)
        expression = read_expression(rna.table, options)
        tables["rna"] = expression.table.dropna(how="all")
        notes += [*expression.notes, f"RNA is in {expression.unit}."]
    if dna.mutations or dna.copy_number:
        if not dna.panel:
            raise SettingsError("dna.panel is empty: name a file of the genes, one symbol per line or GMT.")
        altered = read_alterations(read_panel(dna.panel), dna)
        tables["dna"] = altered.table.dropna(how="all")
        notes += altered.notes
    if not tables:
        raise SettingsError("nothing was measured: give rna.table, dna.mutations or dna.copy_number.")
    return tables


def _cohort(config: PretrainStudy, names: Sequence[str]) -> Cohort:
    """The cases whose slides are looked for: those of the table, or all that were measured."""
    part, endpoint = config.slides, Endpoint("none", ())
    if not part.table:
        return Cohort(tuple(map(Case, names)), endpoint)
    cells = read_cells(part.table)
    case, slide = cells.find(part.case, CASE_COLUMNS, "the case"), cells.find(part.slide, SLIDE_COLUMNS, "the slide")
    if not case:
        raise TableError(f"{cells.name} has no column that names the case: state it as slides.case.")
    owned: dict[str, list[str]] = {}
    for name, file in zip(cells.values(case), cells.values(slide) if slide else [""] * len(cells.frame), strict=True):
        owned.setdefault(case_of(name), []).extend([file] if file else [])
    cases = tuple(Case(name, slides=tuple(dict.fromkeys(files))) for name, files in owned.items() if name)
    return Cohort(cases, endpoint, notes=tuple(cells.notes), source=cells.name)


def _stored(config: PretrainStudy, notes: list[str]) -> tuple[dict[str, Tiles], EncoderIdentity]:
    """The tiles of every whole bag of a store, by the name of the slide; only descriptions are read."""
    part, half = config.slides, int(config.run.memory_gb * (1 << 29))
    named, shelf = encoder_named(config.features.encoder), Shelf(half)
    bags = [bag for bag in FeatureStore(part.bags).stored() if named in ("", bag.encoder.name)]
    whole = [bag for bag in bags if len(bag) and bag.done == len(bag)]
    encoders = {bag.encoder for bag in whole}
    if len(encoders) != 1:
        known = ", ".join(sorted(map(str, encoders))) or "nothing"
        raise MismatchError(f"{part.bags} holds whole bags of {known}: name one patch encoder as features.encoder.")
    if len(whole) < len(bags):
        notes.append(f"{len(bags) - len(whole)} of {len(bags)} slides are not embedded to the end and left out.")
    most = half // config.training.readers
    return {bag.slide.name: StoredTiles(bag, shelf, most) for bag in whole}, encoders.pop()


def _places(config: PretrainStudy) -> Places:
    if "://" not in config.slides.bags and not Path(config.slides.bags).is_dir():
        raise FeaturesError(f"{config.slides.bags} is neither a folder of features nor a store: check slides.bags.")
    shelved = RunPart(memory_gb=config.run.memory_gb / 2)
    bags = CohortPart(table=config.slides.table, bags=config.slides.bags)
    return places_of(StudyConfig(cohort=bags, features=config.features, run=shelved), Cohort((), Endpoint("none", ())))


def _in_files(config: PretrainStudy, cohort: Cohort, places: Places) -> Steps[tuple[dict[str, Tiles], EncoderIdentity]]:
    """The tiles of the files of the cases; every file is looked at once."""
    slides = [slide for case in cohort.cases for slide in case.slides]
    if not slides:
        raise MismatchError(f"no file in {config.slides.bags} belongs to a case: {' '.join(cohort.notes)}")
    identity: EncoderIdentity | None = None
    tiles: dict[str, Tiles] = {}
    for done, slide in enumerate(slides):
        yield Progress("Looking at features", done, len(slides))
        identity = same_encoder(identity, slide, places, config.features)
        tiles[slide] = FileTiles(slide, places, len(places.read(slide)))
    assert identity is not None
    return tiles, identity


def _without(cases: list[Case], file: str, notes: list[str]) -> list[Case]:
    """The cases but those of a file."""
    if not file:
        return cases
    named = {case_of(name) for name in read_samples(file)}
    kept = [case for case in cases if case.name not in named]
    unknown = sorted(named - {case.name for case in cases})
    words = f"{len(cases) - len(kept)} cases of {Path(file).name} are left out as it says"
    notes.append(words + (f"; {len(unknown)} of its names are no case here ({some(unknown)})." if unknown else "."))
    return kept


def _molecules(
    config: PretrainStudy, tables: dict[str, pd.DataFrame], names: Sequence[str], notes: list[str]
) -> dict[str, Molecules]:
    found = {}
    parts: dict[str, Any] = {"rna": config.rna, "dna": config.dna}
    published = read_scgpt(config.rna.weights) if config.rna.weights else None
    for kind, table in tables.items():
        rows = table.reindex(list(names))
        if not rows.notna().any(axis=None):
            continue  # nobody with slides was measured so; the notes say it
        settings, weights = dict(parts[kind].settings), ""
        if kind == "rna":
            if published is not None:
                settings, weights = {**published.settings, **settings}, config.rna.weights
                rows = rows[_known(published, rows, notes)]
            rows = rows[_genes(rows, config.rna, notes)]
        encoder = CataloguePart(name=parts[kind].encoder, settings=settings)
        found[kind] = Molecules(encoder, tuple(map(str, rows.columns)), rows.to_numpy(np.float32), weights)
    return found


def _known(published: ScGPTFiles, table: pd.DataFrame, notes: list[str]) -> list[str]:
    """The genes that a published network has an embedding of."""
    genes = list(published.known(list(table.columns)))
    words = f"{len(genes)} of {table.shape[1]} genes are in the vocabulary of {published.folder.name}"
    if not genes:
        raise TableError(f"{words}: the table must name genes by HUGO symbols.")
    notes.append(f"{words}; the others are left out.")
    return genes


def _genes(table: pd.DataFrame, part: RNAPart, notes: list[str]) -> list[str]:
    """Those of the panel that were measured, or those that vary most in the cases that are learned from."""
    if part.panel:
        panel = read_panel(part.panel)
        genes = [gene for gene in panel if gene in table.columns]
        if not genes:
            raise TableError(f"no gene of {Path(part.panel).name} is in the table: both must name genes by symbol.")
        if absent := [gene for gene in panel if gene not in table.columns]:
            notes.append(f"{len(absent)} of {len(panel)} genes of the RNA panel were not measured: {some(absent)}.")
        return genes
    spread = table.std().fillna(0.0)
    varying = spread[spread > 0].sort_values(ascending=False, kind="stable")
    return list(varying.index[: part.most_variable or None])
