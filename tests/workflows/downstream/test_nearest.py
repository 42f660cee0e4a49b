"""What lies nearest to a slide among stored embeddings."""

import numpy as np
import pytest

from napari_pathlupi.core.embeddings import Embeddings, SlideEmbedding
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.workflows.downstream.nearest import nearest_in, nearest_words

RNG = np.random.default_rng(1)
STORED = Embeddings(
    tuple(f"s{i}" for i in range(30)), RNG.normal(size=(30, 4)).astype(np.float32), "store", made_by="x"
)


def test_the_nearest_are_those_of_a_sorted_list_of_distances() -> None:
    slide = SlideEmbedding(RNG.normal(size=4).astype(np.float32), "x")
    pairs = zip(STORED.names, STORED.vectors, strict=True)
    wanted = sorted((float(np.sqrt(((vector - slide.vector) ** 2).sum())), name) for name, vector in pairs)
    found = nearest_in(STORED, slide, count=7)
    assert found.names == tuple(name for _, name in wanted[:7])
    np.testing.assert_allclose(found.distances, [distance for distance, _ in wanted[:7]], rtol=1e-6)
    assert (found.total, found.notes) == (30, ())


def test_a_slide_is_not_its_own_neighbour() -> None:
    found = nearest_in(STORED, SlideEmbedding(STORED.vectors[3], "x"), "s3.svs")
    assert "s3" not in found.names
    assert "itself" in nearest_words(found, "slides")


def test_embeddings_of_another_encoder_are_refused_with_both_named() -> None:
    with pytest.raises(MismatchError, match=r"store was made by x, this slide.s embedding by y"):
        nearest_in(STORED, SlideEmbedding(STORED.vectors[0], "y"))


def test_embeddings_of_another_length_are_refused_and_unnamed_ones_remarked_on() -> None:
    unnamed = Embeddings(STORED.names, STORED.vectors, "table")
    with pytest.raises(MismatchError, match="4 numbers, that of this slide has 3"):
        nearest_in(unnamed, SlideEmbedding(STORED.vectors[0, :3], "y"))
    assert "does not say" in nearest_in(unnamed, SlideEmbedding(STORED.vectors[0], "y")).notes[0]


def test_a_store_of_only_the_slide_itself_has_no_neighbour() -> None:
    alone = Embeddings(("me",), STORED.vectors[:1], "store", made_by="x")
    with pytest.raises(MismatchError, match="nothing but this slide"):
        nearest_in(alone, SlideEmbedding(STORED.vectors[0], "x"), "me.svs")
