"""The pages as files: whole, small, and without a way for a text to become markup."""

import re
from pathlib import Path

import pytest

import functions.predict

PAGES = Path(functions.predict.__file__).with_name("pages")
KILOBYTES = {"playground.html": 23, "docs.html": 12}


@pytest.mark.parametrize("name", KILOBYTES)
def test_a_page_is_one_small_file_that_fetches_nothing_from_elsewhere(name: str) -> None:
    page = (PAGES / name).read_text()
    assert len(page.encode()) <= KILOBYTES[name] * 1024
    assert {*re.findall(r"https?://[^'\"\s]*", page)} <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(
        r"<(?:script|img|iframe|form)\b[^>]*\b(?:src|action)=|<link (?!rel=\"icon\" href=\"data:)|@import", page
    )


@pytest.mark.parametrize("name", KILOBYTES)
def test_no_text_becomes_markup_or_code(name: str) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|setHTML|createContextualFragment"
    code = r"\beval\b|new Function|javascript:"
    assert not re.findall(f"{markup}|{code}", (PAGES / name).read_text())


def test_nothing_on_the_playground_would_be_sent_as_a_form() -> None:
    page = (PAGES / "playground.html").read_text()
    assert not re.findall(r"<form|<(?:input|textarea|select)[^>]*\bname=", page)
