"""Networks of timm with random weights, and no place on this machine or on any network to find others."""

from pathlib import Path

import pytest

from random_networks import let_torchvision_load

let_torchvision_load()


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever weights, token and cache this machine has are not there."""
    for name in ("PATHLUPI_WEIGHTS", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
