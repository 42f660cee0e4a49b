"""Score a cohort that a model has never seen, with each of its folds: an external validation, or a screening."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.core.cohort import Case, Endpoint
from napari_pathlupi.core.progress import Progress, Steps, run
from napari_pathlupi.errors import MismatchError, SettingsError, TableError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.cases.cohort_table import find_slides, read_cohort
from napari_pathlupi.workflows.prediction.classify_tiles import TileClassifier
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.training.study_config import MEAN, UNION, CohortPart, StudyConfig
from napari_pathlupi.workflows.training.study_data import Places, places_of, same_encoder


@dataclass(frozen=True, slots=True)
class ScoreCohortConfig:
    """How the cases of a cohort are scored.

    Parameters
    ----------
    several
        Several slides of a case: "union" makes one bag of them, "mean" averages what the model says of each; empty: as
        the model was trained.
    """

    several: str = ""

    def __post_init__(self) -> None:
        if self.several not in ("", UNION, MEAN):
            raise SettingsError(f"several = {self.several!r} is not possible: it is {UNION!r} or {MEAN!r}.")


def score_cohort_steps(
    bundle: Bundle,
    cohort: str | Path,
    bags: str | Path,
    config: ScoreCohortConfig | None = None,
    stated: Stated | None = None,
) -> Steps[pd.DataFrame]:
    """Yield progress and return a row per case and fold, as `pathlupi evaluate` reads them; no label is needed.

    Parameters
    ----------
    bundle, config
        The model, and how cases are scored.
    cohort
        Table with a row per case or slide; only the columns of cases and slides are looked at.
    bags, stated
        Folder of features, a file per slide, or a store; and what such files do not say.

    Raises
    ------
    TableError, FeaturesError, MismatchError, BundleError
        When table, features or model cannot be used, or no case has features; the message names them.
    """
    config = config or ScoreCohortConfig()
    if isinstance(bundle, TileClassifier):
        raise MismatchError(f"{bundle.card.title} judges tiles from their pixels: predict on the slides with it.")
    known = read_cohort(cohort, Endpoint("none", ()))
    places = places_of(StudyConfig(cohort=CohortPart(str(cohort), str(bags)), features=stated or Stated()), known)
    known = find_slides(known, places.names)
    cases = [case for case in known.cases if case.slides]
    if not cases:
        raise TableError(f"none of the {len(known)} cases of {known.source} has features in {bags}: {known.notes[-1]}")
    ensemble = Ensemble.from_bundle(bundle)
    read = partial(_vectors, bundle, places, stated or Stated())
    rows: list[dict[str, Any]] = []
    for done, case in enumerate(cases):
        yield Progress("Scoring cases", done, len(cases))
        rows += _rows(ensemble, case, _outputs(ensemble, case, read, config.several or ensemble.slides))
    return pd.DataFrame(rows)


def score_cohort(
    bundle: Bundle,
    cohort: str | Path,
    bags: str | Path,
    config: ScoreCohortConfig | None = None,
    stated: Stated | None = None,
) -> pd.DataFrame:
    """Return what `score_cohort_steps` does, without the steps."""
    return run(score_cohort_steps(bundle, cohort, bags, config, stated))


def _vectors(bundle: Bundle, places: Places, stated: Stated, slide: str) -> npt.NDArray[np.float32]:
    """The vectors of a slide, if they are of the model's patch encoder."""
    made_by = same_encoder(None, slide, places, stated)
    bundle.card.patch_encoder.identity.must_fit(made_by, f"the model {bundle.card.title!r}")
    return np.asarray(places.read(slide), dtype=np.float32)


def _outputs(
    ensemble: Ensemble, case: Case, read: Callable[[str], npt.NDArray[np.float32]], several: str
) -> npt.NDArray[np.float64]:
    """(folds, outputs) what each fold says of a case."""
    found = [read(slide) for slide in case.slides]
    bags: Sequence[npt.NDArray[np.float32]] = [np.concatenate(found)] if several == UNION else found
    said = [[model.infer(bag).outputs for bag in bags] for model in ensemble.models]
    return np.array(np.mean(said, axis=1), dtype=np.float64)


def _rows(ensemble: Ensemble, case: Case, outputs: npt.NDArray[np.float64]) -> list[dict[str, Any]]:
    task = ensemble.models[0].task
    common = [task.of_member(torch.from_numpy(fold[None]), number)[0] for number, fold in enumerate(outputs)]
    said = [task.answer(numbers, ensemble.calibration).columns() for numbers in common]
    return [{"case_id": case.name, "fold": number, **columns} for number, columns in enumerate(said)]
