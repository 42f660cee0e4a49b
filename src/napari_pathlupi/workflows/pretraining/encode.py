"""Slides and molecules through a pre-trained encoder, into tables that the downstream protocols read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import Cancelled
from napari_pathlupi.export._whole_file import whole_path
from napari_pathlupi.molecular.axes import some
from napari_pathlupi.workflows.pretraining.case_tiles import JoinedTiles
from napari_pathlupi.workflows.pretraining.config import PretrainStudy
from napari_pathlupi.workflows.pretraining.data import case_cohort, measured_tables, slide_tiles_steps
from napari_pathlupi.workflows.pretraining.pairs import Tiles
from napari_pathlupi.workflows.pretraining.pretrained import Pretrained


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Embeddings, a row each, and what must be said of them."""

    table: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The tiles of a case as a bag that is read in parts."""

    tiles: Tiles
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.tiles), self.dim

    def __getitem__(self, part: slice) -> npt.NDArray[np.float32]:
        return self.tiles[np.arange(len(self.tiles))[part]]


def encode_slides_steps(encoder: Pretrained, config: PretrainStudy, cancel: CancelFlag | None = None) -> Steps[Encoded]:
    """Yield progress and return the embedding of every slide, or of every case where a table says whose slides are.

    Parameters
    ----------
    encoder
        Pre-trained.
    config
        Its sections ``slides``, ``features`` and ``run`` say where the features lie.
    cancel
        Asks to stop.

    Raises
    ------
    MismatchError
        When the features are of another patch encoder.
    Cancelled
        When asked to stop.
    PathlupiError
        As of `napari_pathlupi.workflows.pretraining.data.slide_tiles_steps`.
    """
    notes: list[str] = []
    tiles, identity, cohort = yield from slide_tiles_steps(config, case_cohort(config), notes)
    encoder.identity.must_fit(identity, "the encoder")
    rows: dict[str, npt.NDArray[np.float32]] = {}
    having = [case for case in cohort.cases if case.slides]
    for done, case in enumerate(having):
        if cancel:
            raise Cancelled(f"stopped after {done} of {len(having)} cases: nothing is written.")
        yield Progress("Encoding", done, len(having))
        own = JoinedTiles([tiles[slide] for slide in case.slides])
        if len(own):
            rows[case.name] = encoder.embed(_Parts(own, identity.dim))
    if len(rows) < len(cohort.cases):
        notes.append(f"{len(cohort.cases) - len(rows)} of {len(cohort.cases)} cases have no tile and are left out.")
    return Encoded(pd.DataFrame.from_dict(rows, orient="index"), tuple(notes))


def encode_molecules(encoder: Pretrained, config: PretrainStudy) -> Encoded:
    """Return the vectors of the cases of a table of RNA, or of mutations and copy number: what prompts are made of.

    Raises
    ------
    MismatchError
        When the encoder was pre-trained without, or knows none of the columns.
    TableError
        When a table cannot be read.
    """
    notes: list[str] = []
    tables = measured_tables(config, notes)
    kind, table = next(iter(tables.items()))
    if part := encoder.card.molecular.get(kind):
        absent = [column for column in part.columns if column not in table.columns]
        if absent:
            words = (
                f"{len(absent)} of the {len(part.columns)} {kind.upper()} columns that the encoder reads are not there"
            )
            notes.append(f"{words} and count as not measured: {some(absent)}.")
    return Encoded(encoder.embed_molecules(kind, table), tuple(notes))


def write_encoded(path: Path, table: pd.DataFrame) -> None:
    """Write embeddings as CSV or Parquet, by the ending: case_id, then a column per number.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    named = table.rename(columns=lambda column: f"e{column}").rename_axis("case_id").reset_index()
    with whole_path(path) as draft:
        if path.suffix in (".parquet", ".pq"):
            named.to_parquet(draft, index=False)
        else:
            named.to_csv(draft, index=False, lineterminator="\n")
