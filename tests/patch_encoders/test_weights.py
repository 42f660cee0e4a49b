"""Weights: from where, whole and safe, and what is said when they are not there."""

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.settings import config_folder
from napari_pathlupi.errors import MissingExtraError, SettingsError, WeightsError
from napari_pathlupi.patch_encoders import _places, _timm
from napari_pathlupi.patch_encoders._checkpoint import digest_of, read_tensors
from napari_pathlupi.patch_encoders._encoder import State
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation
from napari_pathlupi.patch_encoders._timm import VisionTransformer
from random_networks import random_weights

TINY = replace(
    patch_encoders["uni"],
    dim=24,
    tile_px=32,
    preparation=Preparation(32),
    architecture=VisionTransformer(
        "vit_tiny_patch16_224", {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 3}
    ),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return random_weights(TINY, tmp_path / "model.safetensors")


def same_tensors(file: Path, other: Path, **changes: torch.Tensor) -> Path:
    tensors = load_file(file) | changes
    save_file(tensors, other) if other.suffix == ".safetensors" else torch.save(tensors, other)
    return other


def test_the_version_names_the_tensors_whatever_kind_of_file_they_are_in(file, tmp_path):
    version = TINY.load("cpu", file).identity.version
    assert TINY.load("cpu", same_tensors(file, tmp_path / "pytorch_model.bin")).identity.version == version
    wrapped = tmp_path / "wrapped.pth"
    torch.save({"epoch": 3, "model": {f"module.{key}": value for key, value in load_file(file).items()}}, wrapped)
    assert TINY.load("cpu", wrapped).identity.version == version
    other = same_tensors(file, tmp_path / "other.pt", **{"norm.bias": torch.zeros(24)})
    assert TINY.load("cpu", other).identity.version != version
    assert replace(TINY, version="2").load("cpu", file).identity.version != version


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_computes_in_half_precision_and_agrees(file):
    tiles = torch.randint(60, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    on_cpu, on_gpu = TINY.load("cpu", file), TINY.load("cuda", file)
    assert (on_cpu.precision, on_gpu.identity) == ("float32", on_cpu.identity)
    vectors = on_gpu.encode(tiles.cuda())
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.cpu(), on_cpu.encode(tiles), rtol=2e-2, atol=2e-2)


def test_a_digest_changes_with_names_types_shapes_and_values():
    base = {"a": torch.arange(4.0)}
    others = [{"b": base["a"]}, {"a": base["a"].half()}, {"a": base["a"].reshape(2, 2)}, {"a": base["a"] + 1}]
    assert len({digest_of(tensors) for tensors in [base, *others]}) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"norm.bias": None}, r"1 are missing \(the first: trunk.norm.bias\)"),
        ({"head.weight": torch.zeros(3)}, r"1 do not belong \(the first: trunk.head.weight\)"),
        ({"norm.bias": torch.zeros(7)}, r"1 have another shape \(the first: trunk.norm.bias \(7,\), not \(24,\)\)"),
    ],
)
def test_tensors_that_are_not_the_networks_are_refused_with_the_first_named(file, tmp_path, change, words):
    tensors = {key: value for key, value in (load_file(file) | change).items() if value is not None}
    save_file(tensors, tmp_path / "changed.safetensors")
    with pytest.raises(WeightsError, match=rf"changed.safetensors is not the weights of uni.*{words}.*MahmoodLab/UNI"):
        TINY.load("cpu", tmp_path / "changed.safetensors")


class Harmful:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_could_run_code_is_not_opened(tmp_path):
    (tmp_path / "weights.bin").write_bytes(pickle.dumps({"a": Harmful(tmp_path / "harm")}, protocol=2))
    torch.save({"a": Harmful(tmp_path / "harm")}, tmp_path / "weights.pt")
    for name in ("weights.bin", "weights.pt"):
        with pytest.raises(WeightsError, match="could run code"):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.bin", "empty.pth", "words.pt"])
def test_a_damaged_file_is_told_in_one_sentence(file, tmp_path, name):
    whole = same_tensors(file, tmp_path / f"whole{Path(name).suffix}").read_bytes()
    content = {"cut": whole[: len(whole) // 2], "empty": b"", "words": b"not found"}[Path(name).stem]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_tensors(tmp_path / name)


def test_a_file_without_tensors_is_told(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "log.pt")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read_tensors(tmp_path / "log.pt")


def test_a_folder_is_searched_for_the_name_on_the_hub_or_the_only_file(file, tmp_path):
    only = tmp_path / "only"
    only.mkdir()
    same_tensors(file, only / "anything.pt")
    assert TINY.find(tmp_path) == file
    assert TINY.find(only) == only / "anything.pt"
    same_tensors(file, only / "second.pt")
    with pytest.raises(WeightsError, match="2 files that could be its weights: name the file"):
        TINY.find(only)
    with pytest.raises(WeightsError, match=r"nowhere.*does not exist"):
        TINY.find(tmp_path / "nowhere")


def test_places_are_looked_at_in_order(file, tmp_path, monkeypatch):
    assert TINY.find() is None
    cached = tmp_path / "no-cache/models--MahmoodLab--UNI"
    (cached / "snapshots/abc").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("abc")
    in_cache = same_tensors(file, cached / "snapshots/abc/pytorch_model.bin")
    assert TINY.find() == in_cache
    config_folder().mkdir(parents=True)
    kept = same_tensors(file, tmp_path / "kept.pt")
    _places.kept_file().write_text(json.dumps({"weights": {"MahmoodLab/UNI": str(kept)}, "licences": []}))
    assert TINY.find() == kept
    folder = tmp_path / "all"
    folder.mkdir()
    monkeypatch.setenv("PATHLUPI_WEIGHTS", str(folder))
    assert TINY.find() == kept
    by_name = same_tensors(file, folder / "uni.safetensors")
    assert TINY.find() == by_name
    by_name.rename(folder / "UNI.safetensors")
    assert TINY.find() == folder / "UNI.safetensors"
    assert TINY.readiness().state is State.LOCAL
    assert TINY.find(file) == file


def test_a_kept_place_that_is_gone_is_told_and_not_passed_over(tmp_path):
    config_folder().mkdir(parents=True)
    _places.kept_file().write_text(json.dumps({"weights": {"MahmoodLab/UNI": str(tmp_path / "gone")}, "licences": []}))
    assert TINY.readiness().state is State.NEEDS_FILE
    with pytest.raises(WeightsError, match="gone, kept for uni, does not exist"):
        TINY.load("cpu")
    _places.kept_file().write_text("{")
    with pytest.raises(SettingsError, match="mend or delete it"):
        TINY.load("cpu")


def test_what_is_missing_first_is_said_first(monkeypatch):
    def states(encoder: PretrainedEncoder) -> tuple[State, str]:
        readiness = encoder.readiness()
        return readiness.state, readiness.address

    licence = "https://huggingface.co/MahmoodLab/UNI"
    assert states(TINY) == (State.NEEDS_LICENCE, licence)
    config_folder().mkdir(parents=True)
    _places.kept_file().write_text(json.dumps({"weights": {}, "licences": ["MahmoodLab/UNI"]}))
    assert states(TINY)[0] is State.NEEDS_TOKEN
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    assert states(TINY) == (State.NEEDS_DOWNLOAD, licence)
    assert "about 1.2 GB" in TINY.readiness().words
    assert states(patch_encoders["phikon"])[0] is State.NEEDS_DOWNLOAD
    assert states(patch_encoders["ctranspath"])[0] is State.NEEDS_FILE
    monkeypatch.setattr(_places, "find_spec", lambda name: None if name == "timm" else object())
    assert states(TINY)[0] is State.NEEDS_EXTRA
    with pytest.raises(MissingExtraError, match=r"needs timm: pip install -c constraints.txt 'napari-pathlupi\[enc"):
        TINY.load("cpu")


def test_musk_comes_only_from_the_package_of_its_authors():
    assert patch_encoders["musk"].architecture.requires == ("timm", "huggingface_hub", "musk")
    with pytest.raises(MissingExtraError, match=r"needs musk: pip install git\+https://github.com/lilab-stanford/MUSK"):
        patch_encoders["musk"].load("cpu")


def test_a_broken_timm_is_one_sentence_that_says_what_to_install(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, module)
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist\\nand more')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"timm cannot be loaded \(operator torchvision::nms does not exist\)"):
        _timm.timm()


def test_a_timm_that_cannot_build_the_network_is_told(file):
    other = replace(TINY, architecture=VisionTransformer("vit_of_another_year"))
    with pytest.raises(MissingExtraError, match=r"cannot build this network \(Unknown model.*pip install"):
        other.load("cpu", file)


def test_no_entry_asks_for_code_from_the_hub():
    for file in Path(_timm.__file__).parent.glob("*.py"):
        assert "trust_remote_code" not in file.read_text()
        assert "weights_only=False" not in file.read_text()


MUSK = """
import torch
from timm.models import register_model

class Whole(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1024))

    def forward(self, image, with_head, out_norm, ms_aug, return_global):
        assert (with_head, out_norm, ms_aug, return_global) == (False, False, False, True)
        return image.mean((1, 2, 3))[:, None] + self.weight, None

@register_model
def musk_large_patch16_384(pretrained=False, **_):
    return Whole()
"""


def test_musk_is_asked_for_its_image_part_without_projection(tmp_path, monkeypatch):
    (tmp_path / "musk").mkdir()
    (tmp_path / "musk/__init__.py").touch()
    (tmp_path / "musk/modeling.py").write_text(MUSK)
    monkeypatch.syspath_prepend(tmp_path)
    save_file({"weight": torch.arange(1024.0)}, tmp_path / "model.safetensors")
    encode = patch_encoders["musk"].load("cpu", tmp_path).encode
    tiles = torch.full((2, 384, 384, 3), 255, dtype=torch.uint8)
    torch.testing.assert_close(encode(tiles), (1 + torch.arange(1024.0)).expand(2, -1))
    for name in ("musk", "musk.modeling"):
        sys.modules.pop(name)
