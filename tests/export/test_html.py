import base64
import re
from html.parser import HTMLParser

import numpy as np

from handmade import a_prediction
from napari_pathlupi.export.html import report


def test_the_page_needs_nothing_from_outside() -> None:
    page = report(a_prediction())
    assert not re.search(r"(src|href)\s*=\s*\"(?!data:)|url\(|@import|<script", page)


def test_the_page_says_what_it_is_for_and_of_which_slide() -> None:
    page = report(a_prediction())
    assert "Research use only. Not a diagnostic device." in page
    assert "case &lt;17&gt; &amp; co.svs" in page
    assert "29 of 30 tiles were read" in page
    assert "1 of 30 tiles could not be decoded" in page


def test_no_word_from_a_file_becomes_markup() -> None:
    tags: set[str] = set()
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    reader.feed(report(a_prediction()))
    assert "table" in tags
    assert not tags & {"b", "script"}


def test_an_answer_for_an_unlike_slide_is_shown_as_not_supported() -> None:
    words = "the answer below is not supported"
    assert words in report(a_prediction(supported=False))
    assert words not in report(a_prediction())


def test_the_map_is_a_picture_inside_the_page() -> None:
    (picture,) = re.findall(r"data:image/png;base64,([^\"]+)", report(a_prediction(np.ones((40, 3)))))
    assert base64.b64decode(picture).startswith(b"\x89PNG")
