"""Getting, keeping and trying patch encoders."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.progress import run
from napari_pathlupi.errors import MissingExtraError, SettingsError, WeightsError
from napari_pathlupi.patch_encoders._encoder import State
from napari_pathlupi.patch_encoders._places import kept
from napari_pathlupi.workflows.encoders import (
    accept_licence,
    built_in_tile,
    check,
    get_steps,
    keep_weights,
    with_weights,
)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PATHLUPI_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.mark.parametrize(("tile_px", "mpp"), sorted({(e.tile_px, e.mpp) for e in patch_encoders.values()}))
def test_the_built_in_tile_is_tissue_and_always_the_same(tile_px: int, mpp: float) -> None:
    tile = built_in_tile(tile_px, mpp)
    assert tile.shape == (tile_px, tile_px, 3)
    assert tile.dtype == np.uint8
    assert (tile.min(axis=2) < 200).mean() > 0.5
    assert np.array_equal(tile, built_in_tile(tile_px, mpp))


def test_checking_names_encoder_device_tile_and_vector() -> None:
    first, again = check("stain-texture", "cpu"), check("stain-texture", "cpu")
    assert first.identity == patch_encoders["stain-texture"].identity
    assert (first.device, first.precision) == ("CPU", "float32")
    assert first.vector.shape == (151,)
    assert (first.vector_digest, first.tile_digest) == (again.vector_digest, again.tile_digest)


def test_what_needs_no_weights_has_none_to_get_or_keep(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="stain-texture has no weights"):
        with_weights("stain-texture")


def test_a_place_is_kept_for_all_encoders_that_share_the_file(tmp_path: Path) -> None:
    (tmp_path / "virchow2.bin").touch()
    assert keep_weights("virchow2", tmp_path / "virchow2.bin") == tmp_path / "virchow2.bin"
    for name in ("virchow2", "virchow2-cls"):
        assert patch_encoders[name].readiness().state is State.LOCAL
    assert run(get_steps("virchow2-cls")) == tmp_path / "virchow2.bin"
    with pytest.raises(WeightsError, match="does not exist"):
        keep_weights("uni", tmp_path / "nothing.bin")
    assert list(kept().weights) == ["paige-ai/Virchow2"]


def test_a_licence_is_accepted_once() -> None:
    accept_licence("uni_v1")
    accept_licence("uni")
    assert kept().licences == ("MahmoodLab/UNI",)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("uni", WeightsError, "UNI.*Accept its licence"),
        ("ctranspath", WeightsError, "CTransPath.*give out a file at https://github.com"),
        ("musk", MissingExtraError, "needs musk"),
    ],
)
def test_nothing_is_downloaded_before_what_it_needs_is_there(name: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        next(get_steps(name))


CONTENT = b"weights" * 1000


class Hub(BaseHTTPRequestHandler):
    """Gives one file to anybody, and another to nobody."""

    def _answer(self) -> None:
        status, headers = 404, {"X-Error-Code": "EntryNotFound"}
        if self.path == "/owkin/phikon/resolve/main/pytorch_model.bin":
            status, headers = 200, {"ETag": '"0123abcd"', "X-Repo-Commit": "0" * 40}
        elif self.path.startswith("/MahmoodLab/UNI/") and self.headers["Authorization"] == "Bearer hf_of_somebody":
            status, headers = 403, {"X-Error-Code": "GatedRepo"}
        body = CONTENT if status == 200 else b""
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def pathlupi(hub: str, tmp_path: Path, *arguments: str, answers: str = "", **environment: str):
    own = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-m", "napari_pathlupi.cli", "encoders", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=answers,
        env={**os.environ, "PATHLUPI_CONFIG": str(tmp_path / "config"), **own, **environment},
    )


def test_weights_come_from_the_endpoint_once_the_user_agrees(hub: str, tmp_path: Path) -> None:
    refused = pathlupi(hub, tmp_path, "get", "phikon", answers="n\n")
    assert (refused.returncode, "nothing was downloaded" in refused.stderr) == (130, True)
    assert not list(tmp_path.rglob("*.bin"))
    given = pathlupi(hub, tmp_path, "get", "phikon", answers="y\n")
    assert given.returncode == 0, given.stderr
    assert Path(given.stdout.strip().splitlines()[-1].removeprefix("Download").split("] ")[-1]).read_bytes() == CONTENT
    assert "phikon" in (listed := pathlupi("http://127.0.0.1:9", tmp_path, "list").stdout)
    assert next(line for line in listed.splitlines() if line.startswith("phikon ")).split()[1] == "local"


def test_a_licence_that_is_not_granted_is_told_and_asked_for_again(hub: str, tmp_path: Path) -> None:
    refused = pathlupi(hub, tmp_path, "get", "uni", "--yes", HF_TOKEN="hf_of_somebody")
    assert refused.returncode == 2
    assert "accept the licence at https://huggingface.co/MahmoodLab/UNI" in refused.stderr
    again = pathlupi(hub, tmp_path, "show", "uni", HF_TOKEN="hf_of_somebody")
    assert "needs licence" in again.stdout
