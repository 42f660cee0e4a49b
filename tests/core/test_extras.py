"""Optional libraries: there, absent or broken."""

import sys

import pytest

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.errors import MissingExtraError


def test_a_library_that_is_there_is_given() -> None:
    assert load_extra("json", "all") is sys.modules["json"]


def test_an_absent_one_names_the_extra_and_who_needs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(MissingExtraError, match=r"a slide needs openslide.*'napari-pathlupi\[openslide\]'\.$"):
        load_extra("openslide", "openslide", "a slide")


def test_a_broken_one_says_what_it_said(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_library.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=r"\(operator torchvision::nms does not exist\): pip install this\.$"):
        load_extra("broken_library", "pip install this")
