"""Folders of WSInfer: what is read of them and what is refused."""

import json
from pathlib import Path

import pytest
import torch

from napari_pathlupi.errors import BundleError, InferenceError
from napari_pathlupi.interchange.wsinfer import WsinferConfig, is_wsinfer, read_wsinfer
from wsinfer_models import CONFIG, write_wsinfer


def test_a_configuration_is_taken_to_the_letter(tmp_path: Path) -> None:
    config = read_wsinfer(write_wsinfer(tmp_path / "model", note="keys of later versions are left alone")).config
    assert (config.patch_size_pixels, config.spacing_um_px, config.resize_px) == (350, 0.25, 224)
    assert config.class_names == ("Other", "Tumor")
    assert (config.mean, config.std) == ((0.7, 0.6, 0.7), (0.2, 0.3, 0.2))


def test_without_resize_and_normalize_a_tile_is_only_brought_to_0_to_1(tmp_path: Path) -> None:
    config = read_wsinfer(write_wsinfer(tmp_path / "model", transform=[{"name": "ToTensor"}])).config
    assert (config.resize_px, config.mean, config.std) == (0, (0, 0, 0), (1, 1, 1))


def test_every_key_that_the_schema_requires_is_required_and_no_other(shared_data: Path) -> None:
    schema = json.loads((shared_data / "wsinfer/model-config.schema.json").read_text())
    fields = WsinferConfig.model_fields
    assert {name for name, field in fields.items() if field.is_required()} == set(schema["required"])
    assert set(fields) == set(schema["properties"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(({key: None}, "Field required") for key in CONFIG),
        ({"spec_version": "2.0"}, "spec_version"),
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 3}, "3 classes need as many different names"),
        ({"class_names": ["Tumor", "Tumor"]}, "different names"),
        ({"spacing_um_px": 0}, "spacing_um_px"),
        ({"patch_size_pixels": -1}, "patch_size_pixels"),
        ({"transform": []}, "in this order"),
        ({"transform": [{"name": "ToTensor"}, {"name": "Resize", "arguments": {"size": 224}}]}, "in this order"),
        ({"transform": [{"name": "CenterCrop"}, {"name": "ToTensor"}]}, "transform"),
        ({"transform": [{"name": "Resize"}, {"name": "ToTensor"}]}, "size"),
        ({"transform": [{"name": "Resize", "arguments": {"size": [224, 200]}}, {"name": "ToTensor"}]}, "square"),
        ({"transform": [{"name": "ToTensor"}, {"name": "Normalize", "arguments": {"mean": [1, 1, 1]}}]}, "std"),
        (
            {
                "transform": [
                    {"name": "ToTensor"},
                    {"name": "Normalize", "arguments": {"mean": [0] * 3, "std": [0] * 3}},
                ]
            },
            "greater than 0",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_sentence(tmp_path: Path, changes: dict, words: str) -> None:
    folder = write_wsinfer(tmp_path / "model", **changes)
    with pytest.raises(BundleError, match=words) as caught:
        read_wsinfer(folder)
    assert "config.json" in str(caught.value)


def test_a_file_that_is_not_json_or_not_torchscript_is_told(tmp_path: Path) -> None:
    folder = write_wsinfer(tmp_path / "model")
    (folder / "torchscript_model.pt").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="is no TorchScript network"):
        read_wsinfer(folder).network("cpu")
    (folder / "config.json").write_text("{")
    with pytest.raises(BundleError, match="is not JSON"):
        read_wsinfer(folder)


def test_a_network_without_its_configuration_is_told(tmp_path: Path) -> None:
    folder = write_wsinfer(tmp_path / "model")
    (folder / "config.json").unlink()
    assert is_wsinfer(folder)
    with pytest.raises(BundleError, match=r"config\.json"):
        read_wsinfer(folder)


def test_one_class_goes_through_a_sigmoid_and_is_not_1_everywhere(tmp_path: Path) -> None:
    one = read_wsinfer(write_wsinfer(tmp_path / "one", [1.0], num_classes=1, class_names=["Tumor"]))
    logits = torch.tensor([[-2.0], [0.0], [3.0]])
    expected = 1 / (1 + torch.exp(-logits))
    assert torch.allclose(one.probabilities(logits), expected)
    assert torch.allclose(one.probabilities(logits[:, 0]), expected)  # some networks drop the last axis
    two = read_wsinfer(write_wsinfer(tmp_path / "two"))
    assert torch.allclose(two.probabilities(torch.cat([logits, -logits], 1)).sum(dim=1), torch.ones(3))
    with pytest.raises(InferenceError, match="2 values for each tile"):
        two.probabilities(logits)


def test_the_digest_follows_both_files(tmp_path: Path) -> None:
    models = [
        read_wsinfer(write_wsinfer(tmp_path / "a")),
        read_wsinfer(write_wsinfer(tmp_path / "b", spacing_um_px=0.5)),
        read_wsinfer(write_wsinfer(tmp_path / "c", [-1.0, 2.0])),
    ]
    assert len({model.digest for model in models}) == 3
