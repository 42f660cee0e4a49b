"""Models by name: from a folder, a zip, an address, the Hub; and what is refused."""

import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_pathlupi.bundle import Bundle, list_bundles, load_bundle, models_folder
from napari_pathlupi.cli import main
from napari_pathlupi.errors import BundleError, OutputError
from napari_pathlupi.widgets._models import Models
from napari_pathlupi.workflows.prediction.installed_models import as_markdown, install, remove

FILES = ("card.json", "weights.safetensors", "golden.safetensors")


def zipped(bundle: Bundle, path: Path, inside: str = "quick/", **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.write(bundle.folder / name, f"{inside}{name}")
        for name, content in more.items():
            archive.writestr(name, content)
    return path


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; what is called cut.zip ends in the middle."""

    def __init__(self, *args: object, folder: Path) -> None:
        super().__init__(*args, directory=str(folder))

    def do_GET(self) -> None:
        if "cut.zip" in self.path:
            content = (Path(self.directory) / "quick.zip").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:100])
            return
        if "gated" in self.path:
            self.send_error(401)
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(small_bundle: Bundle, tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    hub = folder / "me/quick/resolve/v1/models/quick"
    hub.mkdir(parents=True)
    for name in FILES:
        (hub / name).write_bytes((small_bundle.folder / name).read_bytes())
    zipped(small_bundle, folder / "quick.zip")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Server(*args, folder=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def nothing_left() -> bool:
    return not models_folder().exists() or not list(models_folder().iterdir())


def test_a_model_is_installed_from_a_folder_a_zip_and_addresses(small_bundle, tmp_path, address, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", address)
    for i, place in enumerate(
        (
            str(small_bundle.folder),
            str(zipped(small_bundle, tmp_path / "flat.zip", inside="")),
            f"{address}/quick.zip?token=secret",
            "hf://me/quick@v1/models/quick",
        )
    ):
        assert install(place, name=f"model-{i}").digest == small_bundle.digest
    assert list_bundles() == ["demo", *(f"model-{i}" for i in range(4))]
    assert load_bundle("model-2").folder == models_folder() / "model-2"
    assert Models().titles[1:] == ["Quick model"] * 4  # what the panel offers
    remove("model-2")
    assert "model-2" not in list_bundles()
    with pytest.raises(BundleError, match="was installed"):
        remove("demo")


def test_an_installed_model_is_replaced_only_when_asked_and_a_packaged_one_never(small_bundle):
    install(str(small_bundle.folder))
    with pytest.raises(OutputError, match="--replace"):
        install(str(small_bundle.folder))
    assert install(str(small_bundle.folder), replace=True).card.name == "quick"
    for name, words in (("demo", "comes with the package"), ("../up", "cannot be called")):
        with pytest.raises((OutputError, BundleError), match=words):
            install(str(small_bundle.folder), name=name, replace=True)
    assert [path.name for path in models_folder().iterdir()] == ["quick"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("../../card.json", "leads out of it"), ("/etc/evil", "leads out of it"), ("C:\\evil", "leads out of it")],
)
def test_a_zip_that_leads_out_of_itself_is_refused(small_bundle, tmp_path, name, words):
    place = zipped(small_bundle, tmp_path / "evil.zip", **{name: b"x"})
    with pytest.raises(BundleError, match=words):
        install(str(place))
    assert nothing_left() and not (tmp_path / "card.json").exists()


def test_zips_that_are_no_model_or_too_large_are_one_sentence(small_bundle, tmp_path, monkeypatch):
    with pytest.raises(BundleError, match="holds 2 models"):
        install(str(zipped(small_bundle, tmp_path / "two.zip", **{"other/card.json": b"{}"})))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(BundleError, match="holds 0 models"):
        install(str(tmp_path / "empty.zip"))
    whole = zipped(small_bundle, tmp_path / "whole.zip")
    content = bytearray(whole.read_bytes())
    content[2000:2100] = bytes(100)
    whole.write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged|wrong SHA-256"):
        install(str(whole))
    monkeypatch.setattr("napari_pathlupi.workflows.prediction.model_source.MOST_BYTES", 1000)
    with pytest.raises(BundleError, match="it is no model"):
        install(str(zipped(small_bundle, tmp_path / "large.zip")))
    with pytest.raises(BundleError, match="is larger than"):
        install(str(small_bundle.folder))
    assert nothing_left()


def test_connections_that_break_and_files_that_are_not_there_are_one_sentence(address, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", address)
    for place, words in (
        (f"{address}/cut.zip?token=secret", "cut off"),
        (f"{address}/none.zip?token=secret", "404"),
        (f"{address}/gated.zip", "given out after an agreement"),
        ("http://127.0.0.1:9/model.zip", "cannot be had, or was cut off"),
        ("hf://me/other", "404"),
        ("hf://me", "write hf://owner/name"),
        ("ftp://there/model.zip", "not fetched from ftp://"),
        (str(tmp_path / "nowhere"), "is no model"),
    ):
        with pytest.raises(BundleError, match=words) as raised:
            install(place)
        assert "secret" not in str(raised.value)
    assert nothing_left()


def test_another_digest_than_the_one_expected_is_refused(small_bundle):
    with pytest.raises(BundleError, match=small_bundle.digest):
        install(str(small_bundle.folder), digest="0" * 64)
    assert nothing_left()
    assert install(str(small_bundle.folder), digest=small_bundle.digest.upper())


def test_the_card_is_a_page(small_bundle, capsys):
    page = as_markdown(small_bundle)
    assert page.startswith("# Quick model\n")
    assert "| task | classification: Alpha, Beta |" in page and small_bundle.digest in page
    assert main(["model", "show", "demo"]) == 0
    shown = capsys.readouterr().out
    assert "## Calibration" in shown and "## Metrics" in shown and "conformal" in shown


def test_models_are_listed_installed_checked_and_removed_on_the_command_line(small_bundle, capsys):
    assert main(["model", "install", str(small_bundle.folder), "--name", "mine"]) == 0
    assert main(["model"]) == 0
    listed = capsys.readouterr().out
    assert "Quick model" in listed and "demo" in listed
    assert main(["model", "check", "mine", "--device", "cpu"]) == 0
    assert "reproduces its golden example" in capsys.readouterr().out
    assert main(["model", "remove", "mine"]) == 0
    assert main(["model", "check", "mine"]) == 2
    assert "there is no model mine" in capsys.readouterr().err
