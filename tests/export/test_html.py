import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from handmade import a_prediction
from napari_pathlupi.core.outlook import SurvivalCurve, Values
from napari_pathlupi.export._curve import between
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


def test_a_survival_is_drawn_with_its_times_and_its_bars_say_what_they_are() -> None:
    folds = ((0.8, 0.7, 0.5), (0.9, 0.5, 0.2))
    answer = SurvivalCurve("overall survival", "months", (12.0, 30.0, 60.0), (0.85, 0.6, 0.35), 0.4, 80, folds)
    page = report(replace(a_prediction(), answer=answer))
    assert len(re.findall(r"data:image/png;base64,", page)) == 2
    assert "Chance to go without the event (overall survival):" in page and "each of its 2 folds" in page
    fine, drawn = between(answer.times, answer.survival)
    assert drawn[0] == 1 and drawn[-1] == pytest.approx(0.35)
    assert np.interp(21, fine, drawn) == pytest.approx((0.85 * 0.6) ** 0.5, rel=1e-3)  # half of the way at one rate


def test_the_bars_of_values_say_from_where_to_where_they_run() -> None:
    answer = Values(("Ki67", "purity"), (30.0, 60.0), "%", ((3.4, 61.0), (20.0, 90.0)))
    assert "(Ki67 3.4 to 61, purity 20 to 90 %):" in report(replace(a_prediction(), answer=answer))


def test_attention_is_held_against_looking_everywhere_alike() -> None:
    assert "looking everywhere alike would give it 10\u00a0%" in report(a_prediction(np.ones((10, 10))))
