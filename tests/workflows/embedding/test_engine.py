"""Another engine says the same as torch, is taken only where it gains, and its absence is one sentence."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MissingExtraError, NotFoundError, SettingsError
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.patch_encoders._engine import is_convolutional
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding.engine import agreement_of, calibration_tiles, choose_engine, compare
from napari_pathlupi.workflows.embedding.tile import tile
from quick_networks import mostly_linear, small_convolution

CPU = choose_device("cpu")
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra 'cpu-engine'")


@needs_openvino
def test_openvino_says_the_same_as_torch_on_the_slide_itself(tissue_slide: Slide) -> None:
    before = small_convolution()
    after = choose_engine(before, "openvino", CPU)
    assert after.engine == "openvino" and after.identity == before.identity
    grid = tile(tissue_slide, 256, 0.5)
    agreement = compare(before, after, tissue_slide, grid)
    assert agreement.good and agreement.tiles == 8
    assert agreement.cosine > 1 - 1e-6 and agreement.difference < 1e-4
    assert "cosine at least 1.0000000" in str(agreement)
    tiles = torch.randint(0, 256, (5, 256, 256, 3), dtype=torch.uint8)
    assert np.allclose(before.encode(tiles), after.encode(tiles), atol=1e-5)


@needs_openvino
def test_it_sends_nothing_to_its_makers() -> None:
    choose_engine(small_convolution(), "openvino", CPU)
    assert sys.modules["openvino_telemetry"] is None


def test_only_convolution_nets_are_taken(tissue_slide: Slide) -> None:
    assert is_convolutional(small_convolution().network)
    assert not is_convolutional(mostly_linear().network)
    assert choose_engine(mostly_linear(), "auto", CPU).engine == "torch"
    with pytest.raises(SettingsError, match="gains nothing"):
        choose_engine(mostly_linear(), "openvino", CPU)


def test_an_encoder_without_a_network_stays_with_torch() -> None:
    computed = Loaded(lambda tiles: tiles, EncoderIdentity("computed", "1", 8, 256, 0.5))
    assert choose_engine(computed, "auto", CPU) is computed


def test_absence_is_one_sentence_and_auto_goes_on_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="cpu-engine"):
        choose_engine(small_convolution(), "openvino", CPU)
    assert choose_engine(small_convolution(), "auto", CPU).engine == "torch"


@needs_openvino
@pytest.mark.skipif(find_spec("nncf") is None, reason="needs the extra 'cpu-engine'")
def test_int8_is_another_encoder_whose_drift_is_measured(tissue_slide: Slide, capsys) -> None:
    before = small_convolution()
    after = choose_engine(before, "auto", CPU, int8=True)
    assert (after.engine, after.precision, after.identity.version) == ("openvino", "int8", "1.int8")
    agreement = compare(before, after, tissue_slide, tile(tissue_slide, 256, 0.5))
    assert 0.9 < agreement.cosine < 1 - 1e-6
    assert agreement.centred < agreement.cosine
    assert "about their mean" in str(agreement)
    assert not capsys.readouterr().out


def test_int8_is_refused_where_it_would_silently_be_something_else() -> None:
    for wish, encoder in (("torch", small_convolution()), ("auto", mostly_linear())):
        with pytest.raises(SettingsError):
            choose_engine(encoder, wish, CPU, int8=True)


def test_calibration_tiles_are_always_the_same() -> None:
    first, again = (calibration_tiles(small_convolution().identity) for _ in range(2))
    assert first.shape == (16, 256, 256, 3)
    assert torch.equal(first, again)


def test_an_unknown_engine_is_told() -> None:
    with pytest.raises(NotFoundError, match="openvino"):
        choose_engine(small_convolution(), "onnx", CPU)


def test_vectors_that_differ_are_no_agreement() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 16)).astype(np.float32)
    assert agreement_of(vectors, vectors).cosine == pytest.approx(1)
    assert not agreement_of(vectors, vectors + rng.normal(0, 0.1, vectors.shape).astype(np.float32)).good
