"""What holds for every slide encoder of others: with their code and weights it was not run here."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from handmade import a_grid
from napari_pathlupi.catalogue import external_slide_encoders, patch_encoders
from napari_pathlupi.core.features import FeatureBag
from napari_pathlupi.core.progress import run
from napari_pathlupi.errors import InferenceError, MismatchError, MissingExtraError, SettingsError, WeightsError
from napari_pathlupi.external_slide_encoders import _external
from napari_pathlupi.external_slide_encoders._external import ExternalSlideEncoder
from napari_pathlupi.workflows.downstream.external_embedding import ExternalConfig, encode_externally_steps

TILES = (3, 4)


@pytest.fixture(params=list(external_slide_encoders))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entry(name: str) -> ExternalSlideEncoder:
    found = external_slide_encoders[name]
    assert isinstance(found, ExternalSlideEncoder)
    return found


class StandIn:
    """Every call that any of the authors' models is asked by; what was given is kept."""

    def __init__(self, width: int) -> None:
        self.width, self.given, self.tile_size, self.text_decoder = width, [], 0, object()

    def to(self, device: str) -> "StandIn":
        return self

    def eval(self) -> "StandIn":
        return self

    def load_state_dict(self, tensors: Any) -> None:
        assert tensors == {}

    def _made(self, *given: Any) -> torch.Tensor:
        self.given = list(given)
        return torch.full((1, self.width), float(given[0].mean()))

    encode_slide_from_patch_features = _made
    encode_he = _made

    def slide_representations(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"image_embedding": self._made(features)}

    def forward_features(self, features: torch.Tensor) -> tuple[torch.Tensor, dict[str, None]]:
        return self._made(features), {}

    def __call__(self, *given: Any, all_layer_embed: bool = False) -> Any:
        made = self._made(*given)
        return [made] * 12 if all_layer_embed else {"WSI_feature": made}


@pytest.fixture
def stand_in(entry: ExternalSlideEncoder, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The authors' libraries, absent here, replaced by ones that give a stand-in."""
    model = StandIn(entry.width)
    makers = {
        "gigapath.slide_encoder": {"create_model": lambda *_, **__: model},
        "madeleine.models.factory": {"create_model_from_pretrained": lambda _: (model, torch.float32)},
        "src.builder": {"create_model": lambda *_, **__: model},
        "models.CHIEF": {"CHIEF": lambda **_: model},
        "transformers": {"AutoModel": type("AutoModel", (), {"from_pretrained": lambda *_, **__: model})},
    }
    for path, names in makers.items():
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        for what, made in names.items():
            monkeypatch.setattr(sys.modules[path], what, made, raising=False)
    monkeypatch.setattr(_external, "find_spec", lambda _: object())
    return model


@pytest.fixture
def config(entry: ExternalSlideEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalConfig:
    (tmp_path / "model_weight").mkdir()
    torch.save({}, tmp_path / "model_weight" / "CHIEF_pretraining.pth")
    monkeypatch.setattr(ExternalSlideEncoder, "only_cuda", False)  # there is none here
    return ExternalConfig(weights=str(tmp_path) if entry.needs_folder else "", trust_code=True)


def a_bag(encoder: str, seed: int = 0) -> FeatureBag:
    grid, identity = a_grid(*TILES), patch_encoders[encoder].identity_of("1")
    features = np.random.default_rng(seed).normal(size=(len(grid), identity.dim)).astype(np.float32)
    return FeatureBag(features, grid, identity, "0" * 32)


def test_says_what_it_reads_under_which_licence_and_that_it_was_not_run(entry: ExternalSlideEncoder) -> None:
    assert entry.title and entry.licence and entry.source and entry.install and entry.libraries
    assert entry.page.startswith("https://")
    assert entry.width > 0
    assert entry.patch_encoder in patch_encoders
    assert entry.reads.mpp > 0
    assert "not run" in entry.tried


def test_runs_no_code_of_others_before_a_person_said_so(name: str, entry: ExternalSlideEncoder) -> None:
    bags = {"s": lambda: a_bag(entry.patch_encoder)}
    with pytest.raises(SettingsError, match="--trust-code"):
        run(encode_externally_steps(name, bags, ExternalConfig()))


def test_a_missing_library_is_named_with_what_brings_it(
    name: str, entry: ExternalSlideEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_external, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install"):
        run(encode_externally_steps(name, {}, ExternalConfig(trust_code=True)))


def test_gives_each_bag_to_its_code_and_takes_a_vector(
    name: str, entry: ExternalSlideEncoder, stand_in: StandIn, config: ExternalConfig
) -> None:
    bags = {slide: (lambda seed=seed: a_bag(entry.patch_encoder, seed)) for seed, slide in enumerate(("a", "b"))}
    found = run(encode_externally_steps(name, bags, config))
    assert found.vectors.shape == (2, entry.width)
    last = a_bag(entry.patch_encoder, 1)
    np.testing.assert_allclose(found.vectors[1], last.features.mean(), rtol=1e-4)
    assert found.made_by == f"{name} on {last.encoder}"
    given = stand_in.given
    assert tuple(given[0].shape[-2:]) == last.features.shape
    if len(given) > 1 and isinstance(given[1], torch.Tensor) and given[1].ndim == 3:
        np.testing.assert_array_equal(given[1][0].numpy(), np.rint(last.grid.origins_px0[:, ::-1]))
        assert round(np.mean(last.grid.side_px0)) in (stand_in.tile_size, *given[2:])


def test_features_of_another_encoder_are_refused(
    name: str, entry: ExternalSlideEncoder, stand_in: StandIn, config: ExternalConfig
) -> None:
    with pytest.raises(MismatchError, match=entry.patch_encoder):
        run(encode_externally_steps(name, {"s": lambda: a_bag("uni")}, config))


def test_a_vector_of_another_length_and_code_that_fails_are_told_in_a_sentence(
    name: str, entry: ExternalSlideEncoder, stand_in: StandIn, config: ExternalConfig
) -> None:
    bags = {"s": lambda: a_bag(entry.patch_encoder)}
    stand_in.width = 3
    with pytest.raises(InferenceError, match="gave 3 numbers for s"):
        run(encode_externally_steps(name, bags, config))
    del stand_in.width
    with pytest.raises(InferenceError, match="failed on s"):
        run(encode_externally_steps(name, bags, config))


def test_code_that_cannot_be_loaded_is_told_in_a_sentence(
    name: str, stand_in: StandIn, config: ExternalConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no such repository")

    monkeypatch.setattr(StandIn, "eval", broken)
    with pytest.raises(WeightsError, match="no such repository"):
        run(encode_externally_steps(name, {"s": lambda: a_bag("uni")}, config))


def test_looking_at_them_loads_no_torch() -> None:
    code = (
        "import sys; from napari_pathlupi.catalogue import external_slide_encoders as e; [x.reads for x in e.values()]"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\nsys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0
