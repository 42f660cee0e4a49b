"""What more is made of runs, and what is kept for it."""

from dataclasses import replace

import numpy as np
import pytest

from handmade import FRAME, a_prediction
from napari_pathlupi import runs
from napari_pathlupi.core.gene_sets import OF_ACTIVITY, OF_TOKENS, GeneSetMap, GeneSetMaps
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.layers import picture_layer
from napari_pathlupi.runs import KeptFeatures, Run, difference, gene_set_picture

MAP = GeneSetMap(np.linspace(-1, 1, 30, dtype=np.float32), OF_ACTIVITY, (0.5,))


def a_run(identity: str = "1", *, supported: bool = True) -> Run:
    return Run(identity, FRAME, "whole tissue", a_prediction(supported=supported))


def with_features(identity: str) -> Run:
    told = GeneSetMaps(("HYPOXIA",), features=np.ones((30, 100), np.float32))
    return replace(a_run(identity), prediction=replace(a_prediction(), gene_sets=told))


def test_a_difference_is_of_percentiles_and_nan_where_either_did_not_look() -> None:
    first, second = a_run(), a_run("2")
    flat = np.ones((5, 6))
    flat[0, 1] = np.nan
    second = replace(second, prediction=a_prediction(flat))
    made = difference(first, second)
    wanted = first.prediction.percentile - second.prediction.percentile
    np.testing.assert_array_equal(made.values, wanted)
    assert np.isnan(made.values[[0, 1]]).all()
    assert "No tile differs" in difference(first, a_run("3")).words


def test_runs_on_other_tiles_or_without_attention_are_not_compared() -> None:
    other = replace(a_run("2"), prediction=a_prediction(np.ones((4, 6))))
    with pytest.raises(MismatchError, match=r"looked at other tiles \(24 on whole tissue, here 30"):
        difference(a_run(), other)
    blind = replace(a_run("2"), prediction=replace(a_prediction(), attention=None))
    with pytest.raises(MismatchError, match="no attention"):
        difference(a_run(), blind)


def test_a_claim_on_a_slide_unlike_the_models_own_is_not_supported() -> None:
    assert gene_set_picture(a_run(supported=False), "HYPOXIA", MAP).words.startswith("Not supported")
    assert gene_set_picture(a_run(), "HYPOXIA", MAP).words == MAP.words


@pytest.mark.parametrize(("method", "lowest"), [(OF_ACTIVITY, -1.0), (OF_TOKENS, 0.0)])
def test_a_map_with_signs_has_two_colours_and_one_without_has_those_of_attention(method: str, lowest: float) -> None:
    run = a_run()
    picture = gene_set_picture(run, "HYPOXIA", replace(MAP, method=method))
    values, options, kind = picture_layer(run.prediction, picture, run.identity, None)
    assert (kind, values.shape, options["contrast_limits"]) == ("image", (5, 6), (lowest, 1.0))
    assert options["name"].startswith("Claimed: HYPOXIA")
    assert options["metadata"]["pathlupi"]["words"] == picture.words


def test_tile_vectors_are_kept_beside_the_runs_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_BYTES", 2 * 30 * 100 * 4)
    kept, made = KeptFeatures(), [with_features(name) for name in "abc"]
    bare = [kept.take(run, None) for run in made]
    assert all(run.prediction.gene_sets.features is None for run in bare)
    assert all(run.prediction.gene_sets.offered == ("HYPOXIA",) for run in bare)
    with pytest.raises(MismatchError, match="not kept any more"):
        kept.mapping(bare[0], "HYPOXIA")
    assert callable(kept.mapping(bare[2], "HYPOXIA"))
    assert kept.take(a_run("d"), None).prediction.gene_sets is None
