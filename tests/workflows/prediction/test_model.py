"""What a trained model promises to whoever asks it about a slide."""

import numpy as np
import pytest
import torch

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe, save_bundle
from napari_pathlupi.catalogue import slide_encoders
from napari_pathlupi.core.results import NO_ATTENTION
from napari_pathlupi.errors import BundleError, InferenceError, MismatchError
from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.model import EXACT, GRADIENT, SlideModel
from quick_model import ABOUT, save_model

DIM, TILES = 12, 9


def a_model(encoder: str = "abmil", objective: bool = True) -> SlideModel:
    torch.manual_seed(0)
    gene_sets = ObjectivePart(name="reconstruction", targets=("HYPOXIA", "E2F"))
    recipe = Recipe(
        patch_encoder=PatchEncoderPart(name="stain-texture", version="1", dim=DIM, tile_px=256, mpp=0.5),
        slide_encoder=CataloguePart(name=encoder),
        task=CataloguePart(name="classification", settings={"classes": ["A", "B", "C"]}),
        objective=gene_sets if objective else None,
    )
    model = SlideModel(recipe).eval()
    model.feature_mean.copy_(torch.linspace(-1, 1, DIM))
    model.feature_scale.copy_(torch.linspace(0.5, 2, DIM))
    model.reference_limit = 30.0
    return model


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(TILES, DIM)).astype(np.float32)


@pytest.mark.parametrize("encoder", list(slide_encoders))
def test_every_slide_encoder_gives_a_whole_output(encoder, features):
    output = a_model(encoder).infer(features)
    assert output.outputs.shape == (3,)
    assert output.evidence.shape == (TILES, 3)
    assert set(output.activity) == {"HYPOXIA", "E2F"}
    assert {a.dtype for a in (output.outputs, output.evidence)} == {np.dtype(np.float32)}
    if not slide_encoders[encoder].gives_attention:
        assert output.attention is None and output.notes == (NO_ATTENTION,)
        return
    assert output.attention.shape == (TILES,)
    assert output.attention.dtype == np.float32
    assert output.attention.sum() == pytest.approx(1, abs=1e-5)
    assert not output.notes


@pytest.mark.parametrize("encoder", list(slide_encoders))
def test_exact_evidence_and_bias_are_the_logit(encoder, features):
    model = a_model(encoder)
    output = model.infer(features)
    if output.evidence_method == EXACT:
        bias = model.head.bias.detach().numpy()
        np.testing.assert_allclose(output.evidence.sum(axis=0) + bias, output.outputs, atol=1e-5)


def test_the_answer_is_what_the_outputs_mean(features):
    output = a_model().infer(features)
    assert output.answer.headline == "ABC"[int(output.outputs.argmax())]


def test_a_model_without_objective_claims_no_activity(features):
    assert a_model(objective=False).infer(features).activity == {}


@pytest.mark.parametrize("encoder", ["abmil", "pathlupi"])
def test_the_answer_does_not_depend_on_the_heads_of_the_objective(encoder, features):
    model = a_model(encoder)
    with_heads = model.infer(features)
    model.objective = None
    without = model.infer(features)
    assert with_heads.activity and not without.activity
    np.testing.assert_array_equal(without.outputs, with_heads.outputs)
    assert without.answer == with_heads.answer


def test_one_token_for_each_gene_set_is_asked_for_in_a_sentence():
    genes = ObjectivePart(name="reconstruction-genes", settings={"sets": {"A": 1, "B": 1}}, targets=("TP53", "MYC"))
    with pytest.raises(MismatchError, match="give the slide encoder tokens=2"):
        SlideModel(a_model("pathlupi").recipe.model_copy(update={"objective": genes}))
    tokens = CataloguePart(name="pathlupi", settings={"tokens": 2})
    recipe = a_model("pathlupi").recipe.model_copy(update={"objective": genes, "slide_encoder": tokens})
    assert set(SlideModel(recipe).eval().infer(np.zeros((3, DIM), np.float32)).activity) == {"A", "B"}


@pytest.mark.parametrize("encoder", ["clam-mb", "dsmil"])
def test_an_encoder_with_a_head_per_class_is_built_for_the_classes_of_the_task(encoder):
    model = a_model(encoder)
    features, real = torch.randn(2, 5, DIM), torch.ones(2, 5, dtype=torch.bool)
    encoded = model.slide_encoder(features, real)
    assert encoded.heads.shape == (2, 3, 5)
    assert model.extra_loss(encoded, real, torch.tensor([[2.0], [torch.nan]])) > 0


def test_evidence_by_gradient_where_there_is_no_exact_share_and_named_so(features):
    class Squared(SlideEncoder):
        gives_attention = False
        width = DIM

        def forward(self, features, real):
            return Encoded((features**2).sum(dim=1), None)

    model = a_model("mean", objective=False)
    model.slide_encoder = Squared()
    output = model.infer(features)
    assert output.evidence_method == GRADIENT
    tiles = model.standardise(torch.from_numpy(features))
    expected = 2 * tiles**2 @ model.head.weight.T  # x · d(x²)/dx
    np.testing.assert_allclose(output.evidence, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_slide_far_from_the_training_cases_is_not_supported(features):
    model = a_model()
    assert model.infer(features).reference.supported
    assert not model.infer(features + 100).reference.supported


@pytest.mark.parametrize(
    ("shape", "fill", "error"),
    [
        ((0, DIM), 0, InferenceError),
        ((3, DIM), np.nan, InferenceError),
        ((3, DIM + 1), 0, MismatchError),
        ((DIM,), 0, MismatchError),
    ],
)
def test_features_it_cannot_read_are_refused_in_a_sentence(shape, fill, error):
    with pytest.raises(error):
        a_model().infer(np.full(shape, fill, np.float32))


def test_a_failing_network_raises_no_runtime_error(features):
    model = a_model()
    model.head = torch.nn.Linear(5, 3)
    with pytest.raises(InferenceError, match="the network failed on cpu"):
        model.infer(features)


def test_a_saved_model_says_the_same_after_loading(tmp_path, features):
    model = a_model()
    bundle = save_model(tmp_path / "small", model, ABOUT, features)
    again = Ensemble.from_bundle(bundle)
    for bag in (features, features[:1], 2 * features):
        before, after = model.infer(bag), again.infer(bag)
        np.testing.assert_allclose(after.outputs, before.outputs, atol=1e-6)
        np.testing.assert_allclose(after.attention, before.attention, atol=1e-7)
        assert after.activity == pytest.approx(before.activity)
        assert after.reference == before.reference


def test_a_model_without_attention_is_held_to_its_outputs_alone(tmp_path, features):
    bundle = save_model(tmp_path / "small", a_model("mean"), ABOUT, features)
    assert set(bundle.golden) == {"features", "outputs"}
    np.testing.assert_allclose(
        Ensemble.from_bundle(bundle).infer(features).outputs, bundle.golden["outputs"], atol=1e-6
    )


def test_a_model_that_does_not_reproduce_its_golden_example_is_not_used(tmp_path, features):
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    moved = dict(bundle.golden) | {"outputs": bundle.golden["outputs"] + np.float32(0.31)}
    altered = save_bundle(tmp_path / "altered", bundle.card, bundle.tensors, moved)
    with pytest.raises(BundleError, match=r"its own golden example \(difference 0.31\): it is not used"):
        Ensemble.from_bundle(altered)


@pytest.mark.parametrize(
    "golden",
    [{}, {"features": np.zeros((2, DIM), np.float32)}],
    ids=["empty", "without outputs"],
)
def test_an_incomplete_golden_example_is_named(tmp_path, features, golden):
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    altered = save_bundle(tmp_path / "altered", bundle.card, bundle.tensors, golden)
    with pytest.raises(BundleError, match=r"golden example .* lacks"):
        Ensemble.from_bundle(altered)


def test_a_golden_example_of_other_shapes_is_refused(tmp_path, features):
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    for change in ({"outputs": np.zeros(1, np.float32)}, {"features": np.zeros((2, 3), np.float32)}):
        altered = save_bundle(tmp_path / "altered", bundle.card, bundle.tensors, dict(bundle.golden) | change, True)
        with pytest.raises(BundleError, match="golden example"):
            Ensemble.from_bundle(altered)


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path, features):
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    fewer = {name: values for name, values in bundle.tensors.items() if name != "head.bias"}
    altered = save_bundle(tmp_path / "altered", bundle.card, fewer, bundle.golden)
    with pytest.raises(BundleError, match="do not fit its card"):
        Ensemble.from_bundle(altered)


@pytest.mark.parametrize("part", [{"name": "nonesuch"}, {"name": "mean", "settings": {"heads": 3}}])
def test_a_card_of_a_newer_version_is_refused(tmp_path, features, part):
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    card = bundle.card.model_copy(update={"slide_encoder": CataloguePart(**part)})
    altered = save_bundle(tmp_path / "altered", card, bundle.tensors, bundle.golden)
    with pytest.raises(BundleError, match="cannot be built"):
        Ensemble.from_bundle(altered)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_output(tmp_path, features):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    bundle = save_model(tmp_path / "small", a_model(), ABOUT, features)
    on_cpu, on_gpu = (Ensemble.from_bundle(bundle, device).infer(features) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu.outputs, on_cpu.outputs, atol=1e-4)
    np.testing.assert_allclose(on_gpu.attention, on_cpu.attention, atol=1e-5)


def test_each_head_of_threads_is_told_and_their_mean_is_the_attention() -> None:
    recipe = Recipe(
        patch_encoder=PatchEncoderPart(name="stain-texture", version="1", dim=5, tile_px=224, mpp=0.5),
        slide_encoder=CataloguePart(name="threads", settings={"width": 8, "heads": 3}),
        task=CataloguePart(name="classification", settings={"classes": ["A", "B"]}),
    )
    output = SlideModel(recipe).eval().infer(np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32))
    assert list(output.heads) == ["head 1", "head 2", "head 3"]
    np.testing.assert_allclose(np.mean(list(output.heads.values()), axis=0), output.attention, atol=1e-6)
    assert output.embedding is not None
    assert output.embedding.shape == (8,)
