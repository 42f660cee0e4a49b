"""Gene sets mapped beside a prediction."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_pathlupi.bundle import Bundle, load_bundle
from napari_pathlupi.core.gene_sets import CLAIMED
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.embedding.embed import embed
from napari_pathlupi.workflows.embedding.tile import tile
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.features import predict_bag
from napari_pathlupi.workflows.prediction.gene_sets import map_gene_sets
from napari_pathlupi.workflows.prediction.predict import PredictConfig, predict
from napari_pathlupi.workflows.save import save_prediction

E2F, HYPOXIA = "HALLMARK_E2F_TARGETS", "HALLMARK_HYPOXIA"


@pytest.fixture(scope="module")
def demo() -> Bundle:
    return load_bundle("demo")


def test_what_is_asked_for_is_mapped_from_slide_and_from_features_alike(tissue_slide: Slide, demo: Bundle) -> None:
    from_slide = predict(tissue_slide, demo, PredictConfig(gene_sets=(f"{E2F},{HYPOXIA}",)))
    assert list(from_slide.gene_sets.maps) == [E2F, HYPOXIA]
    assert from_slide.provenance.settings["gene_sets"] == (E2F, HYPOXIA)
    assert len(from_slide.gene_sets.offered) == 50
    assert from_slide.gene_sets.features is None
    bag = embed(tissue_slide, tile(tissue_slide, 256, 0.5), "stain-texture")
    from_bag = predict_bag(bag, demo, gene_sets=(E2F,), keep_features=True)
    made, again = from_slide.gene_sets.maps[E2F], from_bag.gene_sets.maps[E2F]
    np.testing.assert_allclose(made.values, again.values, atol=1e-6)
    assert made.claim == pytest.approx(from_slide.activity[E2F], abs=1e-5)
    assert made.words.startswith(CLAIMED)

    more = map_gene_sets(from_bag, Ensemble.from_bundle(demo), from_bag.gene_sets.features, (HYPOXIA,))
    assert list(more.gene_sets.maps) == [E2F, HYPOXIA]
    np.testing.assert_allclose(
        more.gene_sets.maps[HYPOXIA].values, from_slide.gene_sets.maps[HYPOXIA].values, atol=1e-6
    )


def test_the_share_of_every_tile_adds_up_to_what_is_claimed(tissue_slide: Slide, demo: Bundle) -> None:
    made = predict(tissue_slide, demo, PredictConfig(gene_sets=(E2F,))).gene_sets.maps[E2F]
    models = [model for model in Ensemble.from_bundle(demo).models if model.objective is not None]
    row = models[0].gene_sets.index(E2F)
    bias = np.mean([float(model.objective.heads.bias[row].detach()) for model in models])
    assert len(made.claims) == len(models)
    assert made.folds == 5
    assert np.nansum(made.values) + bias == pytest.approx(made.claim, abs=1e-4)


def test_files_carry_the_maps_and_say_what_they_are(tissue_slide: Slide, demo: Bundle, tmp_path: Path) -> None:
    prediction = predict(tissue_slide, demo, PredictConfig(gene_sets=(E2F,)))
    files = {file.name.partition(".")[2]: file for file in save_prediction(prediction, tissue_slide.frame, tmp_path)}
    made = prediction.gene_sets.maps[E2F]
    told = json.loads(files["json"].read_text())["gene_set_maps"][E2F]
    assert told["words"] == made.words
    assert told["activity_of_folds"] == pytest.approx(made.claims)
    assert np.allclose(pd.read_csv(files["csv"])[f"gene_set_{E2F}"], made.values, atol=1e-6, equal_nan=True)
    with tifffile.TiffFile(files["ome.tif"]) as file:
        assert file.series[0].shape[0] == 2
        drawn = prediction.grid.raster(made.drawn, "").values
        np.testing.assert_array_equal(file.series[0].asarray()[1], drawn)
        assert f"gene set {E2F}: signed percentile" in file.ome_metadata
    page = files["html"].read_text()
    assert "HALLMARK E2F TARGETS</h3>" in page
    assert CLAIMED in page


def test_a_set_that_the_model_does_not_know_is_refused_before_anything_is_read(
    tissue_slide: Slide, demo: Bundle, small_bundle: Bundle
) -> None:
    with pytest.raises(MismatchError, match=f"no map of E2F: near are {E2F}; it knows 50 sets"):
        predict(tissue_slide, demo, PredictConfig(gene_sets=("E2F",)))
    plain = predict(tissue_slide, small_bundle)
    known = plain.gene_sets.offered if plain.gene_sets else ()
    with pytest.raises(MismatchError, match="no map of MYC"):
        predict(tissue_slide, small_bundle, PredictConfig(gene_sets=("MYC",)))
    assert "MYC" not in known
