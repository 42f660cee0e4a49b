"""Getting, keeping and trying patch encoders."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.cli import main
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, MissingExtraError, SettingsError, WeightsError
from napari_pathlupi.patch_encoders._encoder import State
from napari_pathlupi.patch_encoders._places import kept
from napari_pathlupi.workflows.embedding.encoders import (
    accept_licence,
    built_in_tile,
    check,
    get_steps,
    keep_weights,
    with_weights,
)
from random_networks import let_torchvision_load

let_torchvision_load()


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


CONTENT = b"weights" * 4_000_000
"""More than is read at once."""


class Hub(BaseHTTPRequestHandler):
    """Gives one file to anybody, and another to nobody."""

    pause_s = 0.0

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
            with suppress(ConnectionError):  # whoever asked may have stopped listening
                self.wfile.write(body[: len(body) // 2])
                time.sleep(self.pause_s)
                self.wfile.write(body[len(body) // 2 :])

    do_GET = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a Hub on this machine, which is the only one for this process, too."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for name, value in (("ENDPOINT", address), ("HUGGINGFACE_CO_URL_TEMPLATE", template), ("HF_HUB_OFFLINE", False)):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def test_weights_are_downloaded_with_progress_and_found_again(hub: str) -> None:
    seen = []
    path = run(get_steps("phikon"), lambda progress: seen.append((progress.stage, progress.done, progress.total)))
    assert path.read_bytes() == CONTENT
    assert patch_encoders["phikon"].readiness().state is State.LOCAL
    assert run(get_steps("phikon")) == path
    assert seen[0][0] == "Building the network"
    assert all(done <= total for _, done, total in seen)


def test_a_download_that_is_stopped_leaves_no_weights(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "pause_s", 1.0)
    cancel = CancelFlag()
    with pytest.raises(Cancelled, match="stopped at 10 of 26 MB"):
        run(get_steps("phikon", cancel), lambda progress: cancel.set() if progress.done else None)
    with pytest.raises(Cancelled, match="stopped at 0 of"):
        run(get_steps("phikon", cancel))
    assert patch_encoders["phikon"].readiness().state is State.NEEDS_DOWNLOAD


def test_a_licence_that_is_not_granted_is_told_and_asked_for_again(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    accept_licence("uni")
    with pytest.raises(WeightsError, match=r"accept the licence at https://huggingface.co/MahmoodLab/UNI"):
        run(get_steps("uni"))
    assert patch_encoders["uni"].readiness().state is State.NEEDS_LICENCE


def test_a_repository_without_the_file_and_no_network_are_told(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"has none of the files model.safetensors, pytorch_model.bin"):
        run(get_steps("kaiko-vits16"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="cannot be reached: try again with a network, or get the file elsewhere"):
        run(get_steps("kaiko-vits16"))


def test_the_command_asks_first_and_goes_to_the_endpoint_that_is_named(hub: str, tmp_path: Path) -> None:
    own = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    code = "import random_networks as r; r.let_torchvision_load(); from napari_pathlupi.cli import main; "
    command = [sys.executable, "-c", f"{code}raise SystemExit(main(['encoders', 'get', 'phikon']))"]
    environment = {**os.environ, **own, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, input="y\n", env=environment)
    assert done.returncode == 0, done.stderr
    question, _, path = done.stdout.strip().partition("[y/N] ")
    assert "Download about 0.34 GB from https://huggingface.co/owkin/phikon?" in question
    assert Path(path).read_bytes() == CONTENT


def test_the_command_downloads_nothing_without_a_yes(hub: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert main(["encoders", "get", "phikon"]) == 130
    assert "nothing was downloaded" in capsys.readouterr().err
    assert patch_encoders["phikon"].readiness().state is State.NEEDS_DOWNLOAD


def test_the_command_lists_shows_uses_and_checks(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "uni.bin").touch()
    assert main(["encoders"]) == main(["encoders", "list"]) == main(["encoders", "show", "uni_v1"]) == 0
    assert main(["encoders", "use", "uni", str(tmp_path / "uni.bin")]) == 0
    assert main(["encoders", "check", "stain-texture", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    for words in ("needs licence", "CC-BY-NC-ND-4.0", "not run with real weights here", "uni.bin", "norm      "):
        assert words in said
    assert main(["encoders", "check", "uni"]) == 2
    assert "uni.bin cannot be read as weights" in capsys.readouterr().err
