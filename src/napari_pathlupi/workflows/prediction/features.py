"""Features that are there already: judged by a model without touching a pixel, and given to other software."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.catalogue import writers
from napari_pathlupi.core.embeddings import SlideEmbedding
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.results import Evidence, Prediction
from napari_pathlupi.errors import FeaturesError, MismatchError, OutputError
from napari_pathlupi.export._whole_file import whole_path
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.interchange._read import read_bag
from napari_pathlupi.interchange._told import Stated, Writer
from napari_pathlupi.slides import Slide
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.prediction.classify_tiles import TileClassifier
from napari_pathlupi.workflows.prediction.predict import provenance_of

if TYPE_CHECKING:
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble

NO_SLIDE = "The slide was not there: outlines are in level-0 pixels of its file, not of the part that QuPath crops to."


def features_of(place: str | Path, slide: Slide | None = None, stated: Stated | None = None) -> FeatureBag:
    """Return the features of one slide in a store of ours or a file of whatever tool, checked against the slide.

    Parameters
    ----------
    place
        File, folder or address.
    slide
        What the features were made from, if it is there.
    stated
        What a file does not say; of a store, which encoder is meant.

    Raises
    ------
    FeaturesError
        When a store holds no such features or several, and what `read_bag` raises.
    """
    if not is_store(place):
        return read_bag(place, slide.frame, stated, slide.fingerprint) if slide else read_bag(place, stated=stated)
    wanted = encoder_named(stated.encoder) if stated else ""
    held = list(FeatureStore(place).stored())
    found = [bag for bag in held if not slide or bag.slide.fingerprint == slide.fingerprint]
    found = [bag for bag in found if not wanted or bag.encoder.name == wanted]
    if len(found) != 1:
        raise FeaturesError(
            f"{place} holds {len(held)} sets of features, {len(found)} of them fit: name one slide with --slide, and "
            f"its encoder with --encoder ({', '.join(sorted({bag.encoder.name for bag in found or held}))})."
        )
    return replace(found[0].load(), source=f"feature store ({Path(place).name})")


def is_store(place: str | Path) -> bool:
    """Return whether a folder or an address is a feature store of ours."""
    return ("://" in str(place) or Path(place).is_dir()) and any(FeatureStore(place).stored())


def predict_bag(
    bag: FeatureBag,
    bundle: Bundle,
    slide_name: str = "",
    gene_sets: Sequence[str] = (),
    keep_features: bool = False,
) -> Prediction:
    """Return what a model says of features that are there already; no pixel is read.

    Answer and map come from one forward pass, as of `napari_pathlupi.workflows.prediction.predict.predict`.

    Parameters
    ----------
    bag
        Of the patch encoder of the model. Where other software does not say which weights it used, that is noted.
    bundle, slide_name
        The model, and what results are called after.
    gene_sets, keep_features
        Gene sets to map, and whether the tile vectors are kept that more maps are made from.

    Raises
    ------
    MismatchError
        When the model reads features of another encoder or scale, with both named, or has no map of a gene set.
    InferenceError
        When the network fails.
    """
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble
    from napari_pathlupi.workflows.prediction.gene_sets import asked_sets, with_gene_sets

    if isinstance(bundle, TileClassifier):
        raise MismatchError(f"{bundle.card.title} judges tiles from their pixels: give it the slide, not features.")
    bundle.card.patch_encoder.identity.must_fit(bag.encoder, f"the model {bundle.card.title!r}")
    names = asked_sets((model := Ensemble.from_bundle(bundle)).mapped_sets, gene_sets)
    prediction = _judged(bag, bundle, model, slide_name)
    return with_gene_sets(prediction, model, bag.features, names, bag.features if keep_features else None)


def _judged(bag: FeatureBag, bundle: Bundle, model: "Ensemble", slide_name: str) -> Prediction:
    output, made_by = model.infer(bag.features), bag.source or "an earlier run"
    fingerprint = bag.fingerprint or hashlib.sha256(bag.features.tobytes()).hexdigest()[:32]
    words = f"CPU, on features of {made_by}; no pixel was read"
    return Prediction(
        answer=output.answer,
        grid=bag.grid,
        attention=output.attention,
        evidence=Evidence(tuple(model.evidence_names), output.evidence, output.evidence_method),
        reference=output.reference,
        provenance=provenance_of(bundle, bag.grid, (slide_name, fingerprint), words, {"features": made_by}),
        activity=output.activity,
        notes=(*bag.notes, *[NO_SLIDE] * (not bag.fingerprint), *output.notes),
        heads=output.heads,
        embedding=SlideEmbedding.of(output.embedding, model.embeds_by),
    )


def frame_of(bag: FeatureBag) -> SlideFrame:
    """Return a frame for features without their slide: as large as the tiles reach, and without bounds."""
    height, width = np.ceil((bag.grid.origins_px0 + np.array(bag.grid.side_px0)).max(axis=0)).astype(int)
    return SlideFrame((int(height), int(width)), bag.grid.slide_mpp)


def save_bag(bag: FeatureBag, path: Path, name: str, slide_name: str = "") -> Path:
    """Write features in a format of the catalogue, all or nothing, and return the file.

    Parameters
    ----------
    bag
        What to write.
    path
        The file; one that is there is not overwritten.
    name
        Entry of the writers' catalogue: trident, anndata.
    slide_name
        What the file calls the slide; its own name without the ending unless given.

    Raises
    ------
    OutputError
        When the file is there already or cannot be written.
    NotFoundError, MissingExtraError
        When there is no such format, or its library is missing.
    """
    writer: Writer = writers[name]
    if path.exists():
        raise OutputError(f"{path} exists and is not overwritten: choose another name.")
    with whole_path(path) as draft:
        writer.write(draft, bag, slide_name or path.stem)
    return path


def save_store(place: str | Path, folder: Path, name: str, encoder: str = "") -> Iterator[Path]:
    """Write every complete set of features of a store to a folder, a file for each, and yield the files.

    Parameters
    ----------
    place, folder
        The store, and where to write; a file is called after its slide, and its encoder where there are several.
    name
        Entry of the writers' catalogue.
    encoder
        Only what this encoder made; "" for all.

    Raises
    ------
    FeaturesError, OutputError
        When there is nothing to write, or a file is there already.
    """
    held = [bag for bag in FeatureStore(place).stored() if encoder_named(encoder) in ("", bag.encoder.name)]
    if not held:
        raise FeaturesError(f"{place} holds no features of {encoder}: `pathlupi embed` makes them.")
    several = len({bag.encoder.name for bag in held}) > 1
    suffix = writers[name].suffix
    folder.mkdir(parents=True, exist_ok=True)
    for bag in held:
        stem = Path(bag.slide.name).stem
        file = folder / (f"{stem}.{bag.encoder.name}{suffix}" if several else f"{stem}{suffix}")
        yield save_bag(bag.load(), file, name, stem)
