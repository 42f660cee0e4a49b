"""Slides behind an address, from a server of this machine that serves ranges."""

import functools
import pickle
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PureWindowsPath

import pytest

from addressed import addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.cli import main
from napari_pathlupi.errors import MissingExtraError, SlideError
from napari_pathlupi.slides import _remote
from napari_pathlupi.slides._url import SlideUrl

PICTURE = addresses((700, 900))


class Server(ThreadingHTTPServer):
    """Serves the files of a folder; ``mood`` makes it fail."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, folder))
        self.mood = ""
        self.sent = 0
        self.asked: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = self.folder / self.path.split("?")[0].lstrip("/")
        self.server.asked.append(self.path)
        if not path.is_file() or self.server.mood == "forbids":
            self.send_response(403 if path.is_file() else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and self.server.mood != "whole files only":
            data = data[int(asked[1]) : int(asked[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{path.stat().st_size}")
        else:
            self.send_response(200)
        if self.server.mood != "whole files only":
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not with_body:
            return
        if self.server.mood == "drops":
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self.server.sent += len(data)
        self.wfile.write(data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _address(server: Server, name: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{name}"


def test_a_slide_behind_an_address_is_the_slide(server: Server, tmp_path: Path) -> None:
    local = open_slide(write_pyramid(tmp_path / "far.svs", [PICTURE, PICTURE[::4, ::4]]))
    with open_slide(_address(server, "far.svs?token=secret")) as slide:
        assert (slide.path.name, slide.mpp, slide.levels) == ("far.svs", local.mpp, local.levels)
        assert slide.fingerprint == local.fingerprint
        assert (slide.read_level(0, (0, 0), (700, 900)) == PICTURE).all()
        assert (slide.read((10.5, 20.5), (64, 64), 0.7) == local.read((10.5, 20.5), (64, 64), 0.7)).all()
        assert "secret" not in repr(slide)
        again = pickle.loads(pickle.dumps(slide))
        assert (again.read_level(0, (7, 9), (8, 8)) == PICTURE[7:15, 9:17]).all()
        again.close()


def test_only_the_parts_that_are_needed_are_fetched(server: Server, tmp_path: Path) -> None:
    picture = addresses((4096, 4096))
    path = write_pyramid(tmp_path / "large.svs", [picture], tile=256, compression="none")
    with open_slide(_address(server, "large.svs")) as slide:
        assert (slide.read_level(0, (2000, 2000), (100, 100)) == picture[2000:2100, 2000:2100]).all()
        sent = server.sent
        slide.read_level(0, (2010, 2010), (50, 50))
    assert server.sent == sent < path.stat().st_size / 8


def test_a_path_made_of_an_address_gets_its_slash_back() -> None:
    assert str(SlideUrl.of(Path("https://host/a/b.svs"))) == "https://host/a/b.svs"
    assert str(SlideUrl.of(Path("zip://a.svs::s3://bucket/b.zip"))) == "zip://a.svs::s3://bucket/b.zip"
    assert str(SlideUrl.of(PureWindowsPath("https://host/a/b.svs"))) == "https://host/a/b.svs"
    assert str(SlideUrl.of(PureWindowsPath("zip://a.svs::s3://bucket/b.zip"))) == "zip://a.svs::s3://bucket/b.zip"
    assert SlideUrl.of(PureWindowsPath("C:/slides/a.svs")) is None
    assert SlideUrl.of("C:/slides/a.svs") is SlideUrl.of("/slides/a.svs") is None


def test_a_slide_in_a_zip_is_read_in_place(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "inner.svs", [PICTURE])
    with zipfile.ZipFile(tmp_path / "slides.zip", "w") as archive:
        archive.write(path, "folder/inner.svs")
    with open_slide(f"zip://folder/inner.svs::{tmp_path / 'slides.zip'}") as slide:
        assert slide.path.name == "inner.svs"
        assert (slide.read_level(0, (300, 400), (99, 99)) == PICTURE[300:399, 400:499]).all()


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("forbids", "cannot be read"),
        ("whole files only", "not ranges"),
        ("drops", "cannot be read"),
    ],
)
def test_a_server_that_will_not_is_one_sentence(server: Server, tmp_path: Path, mood: str, words: str) -> None:
    write_pyramid(tmp_path / "far.svs", [PICTURE])
    server.mood = mood
    with pytest.raises(SlideError, match=words) as caught:
        open_slide(_address(server, "far.svs?token=secret"))
    assert "far.svs" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_connection_that_drops_while_reading_is_one_sentence(server: Server, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "far.svs", [addresses((2048, 2048))], tile=256, compression="none")
    with open_slide(_address(server, "far.svs")) as slide:
        server.mood = "drops"
        with pytest.raises(SlideError, match=r"far\.svs (cannot be read|.*of .* bytes)"):
            slide.read_level(0, (1000, 1000), (300, 300))
        assert slide.missing_tiles == 0
        server.mood = ""
        assert (slide.read_level(0, (1000, 1000), (3, 3)) == addresses((2048, 2048))[1000:1003, 1000:1003]).all()


def test_what_is_absent_or_unknown_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"absent\.svs cannot be read"):
        open_slide(_address(server, "absent.svs"))
    with pytest.raises(SlideError, match=r"a\.mrxs cannot be read over https"):
        open_slide("https://host/a.mrxs")
    for address in ("carrier-pigeon://host/a.svs", "zip://a.svs::carrier-pigeon://host/b.zip"):
        with pytest.raises(SlideError, match=r"a\.svs cannot be read: carrier-pigeon:// is no kind of address"):
            open_slide(address)


def test_an_absent_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: SlideUrl) -> None:
        raise ImportError

    monkeypatch.setattr(_remote, "_reach", absent)
    with pytest.raises(MissingExtraError, match=r"a\.svs over s3:// needs the extra 'remote'"):
        open_slide("s3://bucket/a.svs")


@pytest.fixture
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHLUPI_CONFIG", str(tmp_path / "config"))


def _info(address: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["info", address])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.usefixtures("own_config")
def test_pathlupi_info_reads_addresses(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_pyramid(tmp_path / "far.svs", [PICTURE])
    with zipfile.ZipFile(tmp_path / "slides.zip", "w") as archive:
        archive.write(path, "folder/far.svs")
    words = "far.svs: Aperio, 900 × 700 px"
    for address in (
        _address(server, "far.svs?token=a//b"),
        f"zip://folder/far.svs::{tmp_path / 'slides.zip'}",
        f"zip://folder/far.svs::{_address(server, 'slides.zip')}",
    ):
        code, out, err = _info(address, capsys)
        assert (code, err) == (0, "")
        assert out.startswith(words)
    assert "/far.svs?token=a//b" in server.asked  # to the letter


@pytest.mark.usefixtures("own_config")
@pytest.mark.parametrize("mood", ["forbids", "whole files only", "drops"])
def test_pathlupi_info_says_in_one_sentence_why_an_address_cannot_be_read(
    server: Server, tmp_path: Path, mood: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pyramid(tmp_path / "far.svs", [PICTURE])
    server.mood = mood
    with zipfile.ZipFile(tmp_path / "slides.zip", "w") as archive:
        archive.writestr("other.svs", b"")
    for address in (
        _address(server, "far.svs?token=secret"),
        f"zip://far.svs::{tmp_path / 'slides.zip'}",
        f"zip://far.svs::{tmp_path / 'absent.zip'}",
    ):
        code, out, err = _info(address, capsys)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("pathlupi: ") and "far.svs" in err
        assert "secret" not in err and "Traceback" not in err
