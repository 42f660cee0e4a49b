"""Maps of gene sets beside a prediction, from the tile vectors that it was made of."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.gene_sets import GeneSetMap, GeneSetMaps, unknown_words
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.workflows.prediction.classify_tiles import TileClassifier
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.stream import StreamConfig, Streamed, infer_stream


def asked_sets(offered: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the gene sets asked for, each once; several may be joined by commas.

    Raises
    ------
    MismatchError
        When the model has no map of one, with those that have names like it.
    SettingsError
        When something was given that names none.
    """
    names = tuple(dict.fromkeys(name.strip() for joined in wanted for name in joined.split(",") if name.strip()))
    if strange := [name for name in names if name not in offered]:
        raise MismatchError(unknown_words(strange, offered))
    if wanted and not names:
        raise SettingsError("no gene set is named: `pathlupi model show` lists some that a model knows; leave it out.")
    return names


def with_gene_sets(
    prediction: Prediction,
    model: "Ensemble | TileClassifier",
    features: npt.NDArray[np.float32],
    names: Sequence[str],
    kept: npt.NDArray[np.float32] | None,
) -> Prediction:
    """Return a prediction that tells which gene sets can be mapped, with the maps asked for and what was kept."""
    if isinstance(model, TileClassifier) or not model.mapped_sets:
        return prediction
    told = replace(prediction, gene_sets=GeneSetMaps(model.mapped_sets, features=kept))
    return map_gene_sets(told, model, features, names) if names else told


def map_gene_sets(
    prediction: Prediction, model: Ensemble, features: npt.NDArray[np.float32], names: Sequence[str]
) -> Prediction:
    """Return a prediction with the maps of some gene sets beside those that it has.

    Parameters
    ----------
    prediction
        What the model says of the slide.
    model
        What said it; folds trained without expression have no maps.
    features
        (N, dim) vectors of the tiles of the prediction's grid; those that were not read may be anything.
    names
        Gene sets as the model calls them.

    Raises
    ------
    MismatchError
        When the model has no map of a gene set, with those that have names like it.
    InferenceError
        When the device fails.
    """
    names = asked_sets(model.mapped_sets, names)
    read, before = prediction.read, prediction.gene_sets or GeneSetMaps(model.mapped_sets)
    config = StreamConfig(seconds=np.inf, maps=tuple(names))
    said = [list(infer_stream(one, features[read], config))[-1] for one in model.models if one.objective is not None]
    averaged = {name: _averaged(name, said, read, len(model.models)) for name in names}
    made = {name: replace(one, check=model.checks.get(name)) for name, one in averaged.items()}
    return replace(prediction, gene_sets=replace(before, maps={**before.maps, **made}))


def _averaged(name: str, said: Sequence[Streamed], read: npt.NDArray[np.bool_], folds: int) -> GeneSetMap:
    maps = np.stack([one.maps[name] for one in said])
    values = np.full(len(read), np.nan, np.float32)
    values[read] = maps.mean(axis=0)
    claims = tuple(one.activity[name] for one in said if one.activity)
    alike = [_correlation(first, second) for first, second in combinations(maps, 2)]
    agreement = float(np.mean(alike)) if alike else float("nan")
    return GeneSetMap(values, said[0].maps_method, claims, agreement, folds)


def _correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """NaN where one is the same everywhere."""
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
