"""What a map of a gene set shows, and how sure it says it is."""

import math

import numpy as np
import pytest

from napari_pathlupi.core.claims import ClaimCheck
from napari_pathlupi.core.gene_sets import (
    CLAIMED,
    OF_ACTIVITY,
    OF_TOKENS,
    GeneSetMap,
    signed_percentile,
    unknown_words,
)

VALUES = np.array([0.5, -2.0, np.nan, 0.1, -0.2], np.float32)


def test_size_is_ranked_and_the_sign_is_kept() -> None:
    np.testing.assert_allclose(signed_percentile(VALUES), [0.75, -1.0, np.nan, 0.25, -0.5])
    positive = np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(signed_percentile(positive), [1, 1 / 3, 2 / 3], rtol=1e-6)


def test_a_slide_whose_tiles_all_speak_against_has_no_bright_tile() -> None:
    against = GeneSetMap(-np.abs(VALUES), OF_ACTIVITY)
    assert np.nanmax(against.drawn) <= 0


def test_every_map_says_that_it_is_a_claim_and_how_far_the_folds_agree() -> None:
    three = GeneSetMap(VALUES, OF_ACTIVITY, (1.0, 0.5, -0.2), 0.42, folds=3).words
    assert three.startswith(CLAIMED)
    assert "activity +0.43 (standard deviations of the training cases); 3 of 3 folds say -0.20 to +1.00" in three
    assert "not even of one sign, and their maps correlate by 0.42" in three
    one = GeneSetMap(VALUES, OF_ACTIVITY, (1.0,), folds=5).words
    assert "by 1 of 5 folds, so how far folds agree cannot be told" in one
    assert one.endswith("the largest share. It was never held against measured expression.")
    tokens = GeneSetMap(np.abs(VALUES), OF_TOKENS, check=ClaimCheck(0.5, 0.4, 0.6, 80))
    assert "where the model looked" in tokens.words
    assert tokens.words.endswith(ClaimCheck(0.5, 0.4, 0.6, 80).words)
    assert tokens.without_colours == f"{CLAIMED}. {ClaimCheck(0.5, 0.4, 0.6, 80).words}"
    assert math.isnan(tokens.claim)


@pytest.mark.parametrize(
    ("strange", "near"),
    [
        ("E2F", "near are E2F_TARGETS;"),
        ("hypoxi", "near are HYPOXIA;"),
        ("APOPTOSE", "APOPTOSIS"),
        ("zzz", "E2F_TARGETS"),
    ],
)
def test_an_unknown_set_is_told_with_those_of_like_names(strange: str, near: str) -> None:
    known = ("E2F_TARGETS", "HYPOXIA", "APOPTOSIS", "GLYCOLYSIS", "COAGULATION", "ADIPOGENESIS", "MYOGENESIS")
    words = unknown_words((strange,), known)
    assert f"no map of {strange}: near are " in words
    assert near in words
    assert words.endswith("it knows 7 sets.")
