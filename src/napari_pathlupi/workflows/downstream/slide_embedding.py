"""Slides as vectors: a slide encoder that is trained already, run over bags of tiles."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.bundle import CARD, CataloguePart, PatchEncoderPart, Recipe, list_bundles, load_bundle
from napari_pathlupi.catalogue import slide_encoders
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.progress import Progress, Steps
from napari_pathlupi.errors import FeaturesError, OutputError, SettingsError
from napari_pathlupi.export.embedding import embedding_bytes
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.features import is_store
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.study_data import FEATURE_ENDINGS
from napari_pathlupi.workflows.training.train_start import begin_from, settings_beside

GOLDEN_TILES = 16
NO_TASK = CataloguePart(name="cox")
"""For a model of which only the embedding is asked: its head stays random and unread."""

Loaders = Mapping[str, Callable[[], FeatureBag]]
"""What returns the bag of each slide, by its name without the ending."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSlides:
    """What a slide encoder made of several slides.

    Parameters
    ----------
    embeddings
        A vector per slide.
    means
        (slides, dim) mean standardised tile vector of each, float64, by which a model knows slides like its own.
    golden
        (tiles, dim) a few tiles of the first slide, float32.
    """

    embeddings: Embeddings
    means: npt.NDArray[np.float64]
    golden: npt.NDArray[np.float32]


def bags_in(place: str | Path, stated: Stated | None = None) -> Loaders:
    """Return how to read the bags in a folder of features or a store, by slide.

    Parameters
    ----------
    place, stated
        As of `napari_pathlupi.workflows.prediction.features.features_of`; files of bare numbers do not say what made
        them.

    Raises
    ------
    FeaturesError
        When there is none, or two are of one name.
    """
    stated, loaders = stated or Stated(), dict[str, Callable[[], FeatureBag]]()
    found: list[tuple[str, Callable[[], FeatureBag]]] = []
    if is_store(place):
        wanted = encoder_named(stated.encoder)
        held = [bag for bag in FeatureStore(place).stored() if wanted in ("", bag.encoder.name)]
        found = [(bag.slide.name, bag.load) for bag in held]
    elif Path(place).is_dir():
        files = sorted(file for file in Path(place).rglob("*") if file.name.lower().endswith(FEATURE_ENDINGS))
        found = [(file.name, partial(read_bag, file, stated=stated)) for file in files if file.suffix != ".npy"]
    for name, load in found:
        stem = Path(name).stem
        if stem in loaders:
            raise FeaturesError(f"{place} holds two bags called {stem}: keep those of one patch encoder there.")
        loaders[stem] = load
    if not loaders:
        raise FeaturesError(
            f"{place} holds no features that can be used (.npy files hold vectors without their tiles): give a folder "
            "with an h5 file or the like for each slide, or a store."
        )
    return loaders


def embedder(place: str, identity: EncoderIdentity) -> Ensemble:
    """Return what makes embeddings of bags of such features.

    Parameters
    ----------
    place
        A model, by its name or folder; a slide encoder without weights by its name (mean, max); or the folder of a
        pre-training, or of its encoder. Of several folds, the embeddings stand one behind the other.
    identity
        What made the features.

    Raises
    ------
    MismatchError, BundleError, WeightsError, SettingsError
        When the model reads other features, cannot be used, or says too little of itself.
    """
    if place in list_bundles() or _is_bundle(Path(place)):
        bundle = load_bundle(place)
        bundle.card.patch_encoder.identity.must_fit(identity, f"the model {bundle.card.title!r}")
        return Ensemble.from_bundle(bundle)
    return Ensemble((frozen(place, identity, NO_TASK),))


def _is_bundle(folder: Path) -> bool:
    """Whether a folder holds a model, not a pre-trained encoder, whose card names no task."""
    card = folder / CARD
    return card.is_file() and b'"task"' in card.read_bytes()


def frozen(place: str, identity: EncoderIdentity, task: CataloguePart) -> SlideModel:
    """Return a model whose slide encoder is trained and whose head is not yet, in evaluation mode.

    Parameters
    ----------
    place, identity
        As of `embedder`; of one model, not of several folds.
    task
        What the head is for.
    """
    part, folder = _part(place)
    encoder = PatchEncoderPart.of(identity)
    model = SlideModel(Recipe(patch_encoder=encoder, slide_encoder=part, task=task))
    if folder:
        begin_from(model, folder)
    elif any(True for _ in model.slide_encoder.parameters()):
        raise SettingsError(f"{place} has weights to learn: give the folder of a model or a pre-training.")
    return model.eval()


def _part(place: str) -> tuple[CataloguePart, str]:
    """Name and settings of a slide encoder, and where its weights lie."""
    if place in slide_encoders:
        return CataloguePart(name=place), ""
    folder = str(load_bundle(place).folder) if place in list_bundles() else place
    known = settings_beside(folder)
    if not known:
        raise SettingsError(
            f"{place} is no model and no slide encoder: give the name or folder of a model, the folder of a "
            "pre-training with its card.json, or mean."
        )
    return CataloguePart(name=known["slide_encoder"], settings=known["settings"]), folder


def encode_slides_steps(model: Ensemble, bags: Loaders, source: str = "") -> Steps[EncodedSlides]:
    """Yield progress and return the embedding of every bag; each is read once and forgotten.

    Raises
    ------
    FeaturesError, MismatchError, InferenceError
        When a bag cannot be read, is of another encoder, or empty.
    """
    recipe, vectors, means = model.models[0].recipe, dict[str, npt.NDArray[np.float32]](), []
    golden = np.empty((0, recipe.patch_encoder.dim), np.float32)
    mean, scale = (part.cpu().numpy() for part in (model.models[0].feature_mean, model.models[0].feature_scale))
    for done, (name, load) in enumerate(bags.items()):
        yield Progress("Encoding slides", done, len(bags))
        bag = load()
        recipe.patch_encoder.identity.must_fit(bag.encoder, f"the slide encoder, for {name},")
        embedding = model.infer(bag.features).embedding
        assert embedding is not None
        vectors[name] = embedding
        means.append((bag.features.mean(axis=0, dtype=np.float64) - mean) / scale)
        golden = golden if len(golden) else bag.features[:GOLDEN_TILES]
    held = Embeddings.of(vectors, source)
    return EncodedSlides(Embeddings(held.names, held.vectors, source, made_by=model.embeds_by), np.stack(means), golden)


def save_embeddings(embeddings: Embeddings, path: Path) -> None:
    """Write embeddings, whole or not at all, for `napari_pathlupi.workflows.downstream.embeddings.read_embeddings`.

    Parameters
    ----------
    embeddings
        What to write.
    path
        ``.h5ad``: AnnData with an observation per slide; else a folder of ``NAME.h5``, as TRIDENT and Patho-Bench have.

    Raises
    ------
    OutputError, MissingExtraError
        When the place is taken or cannot be written, or anndata is missing.
    """
    if path.exists():
        raise OutputError(f"{path} exists and is not overwritten: choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            draft = Path(scratch, "fresh")
            if path.suffix == ".h5ad":
                _as_anndata(embeddings).write_h5ad(draft)
            else:
                draft.mkdir()
                for name, vector in zip(embeddings.names, embeddings.vectors, strict=True):
                    (draft / f"{name}.h5").write_bytes(embedding_bytes(vector, embeddings.made_by))
            draft.rename(path)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}): choose a folder that may be written.") from error


def _as_anndata(embeddings: Embeddings) -> Any:
    import pandas as pd

    from napari_pathlupi.core.extras import load_extra

    anndata = load_extra("anndata", "anndata")
    made = anndata.AnnData(X=embeddings.vectors, obs=pd.DataFrame(index=list(embeddings.names)))
    made.uns["made_by"] = embeddings.made_by
    return made
