"""The reader of the OpenAPI document: everything in it is on the page, whoever wrote it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

import functions.predict
from tests.browser.conftest import PHONE, Open
from tests.browser.gateway import Reply
from tests.browser.opened import Opened
from tests.browser.test_curl import run
from tests.browser.test_looks import FAINT, NAMELESS, WIDER

pytestmark = pytest.mark.slow

SAMPLE = json.loads(Path(__file__).with_name("sample_openapi.json").read_text())
PAGES = Path(functions.predict.__file__).with_name("pages")


@pytest.fixture
def sample(open_page: Open, gateway: Any) -> Opened:
    """The page over a document that has a bit of everything."""
    gateway.stand_in("/openapi.json", Reply.of(SAMPLE))
    opened = open_page("docs", key="", viewport=PHONE)
    expect(opened.page.get_by_role("heading", level=1)).to_have_text("A sample")
    return opened


def operation(opened: Opened, name: str) -> Locator:
    """An operation by its method and path, unfolded."""
    found = opened.page.locator("details").filter(has=opened.page.get_by_text(name, exact=True)).first
    if found.get_attribute("open") is None:
        found.locator("summary").click()
    return found


def test_operations_are_listed_by_tag_in_their_order(sample: Opened) -> None:
    assert [heading.inner_text() for heading in sample.page.get_by_role("heading", level=2).all()] == [
        "Second",
        "First",
        "Other",
    ]
    assert [" ".join(summary.inner_text().split()) for summary in sample.page.locator("summary").all()] == [
        "GET /open",
        "POST /things/{thing}:ask Ask a thing",
        "DELETE /things/{thing}:ask Forget it",
        "PUT /untagged",
    ]
    expect(sample.page.locator("header")).to_contain_text("In two paragraphs, with <b>no</b> markup.")
    assert sample.page.locator("header code").all_inner_texts() == ["what"]


def test_an_operation_has_parameters_schemas_examples_and_refusals(sample: Opened) -> None:
    shown = operation(sample, "/things/{thing}:ask").inner_text()
    for part in (
        "thing in path, string, required",
        "verbose in query, integer, minimum 0, maximum 3, default 1",
        "How much to say.",
        "application/json, Question",
        "text string, required, minLength 1",
        'kind "short" | "long", required',
        "children array of Question, maxItems 9",
        "weight number | null",
        "<any name> boolean",
        "Example: It's short",
        "Example: long",
        "answer 42, required",
        "404 No such thing.",
        "503 Later; Retry-After says when.",
        "Each is a Problem.",
        "remedy string",
    ):
        assert part in shown


def test_a_curl_is_one_that_works(sample: Opened) -> None:
    curl = operation(sample, "/things/{thing}:ask").locator("pre").last.inner_text()
    sample.gateway.stand_in("/things/lamp:ask", Reply.of({"answer": 42}))
    assert run(curl) == {"answer": 42}
    sent = sample.gateway.seen[-1]
    assert (sent.method, sent.path) == ("POST", "/dev/things/lamp:ask")
    assert json.loads(sent.body) == {"text": 'What\'s "that"?'}
    assert "x-api-key" not in operation(sample, "/open").inner_text()
    assert '{"text":"…","kind":"short"}' in operation(sample, "/untagged").locator("pre").last.inner_text()
    assert "-X PUT" in operation(sample, "/untagged").inner_text()


def test_an_operation_has_an_address(sample: Opened) -> None:
    operation(sample, "/things/{thing}:ask")
    expect(sample.page).to_have_url(re.compile(r"/dev/docs#askThing$"))  # a little after it was opened
    sample.page.reload()
    expect(sample.page.locator("details[open] summary")).to_contain_text("Ask a thing")


def test_a_curl_is_copied(open_page: Open) -> None:
    opened = open_page("docs", permissions=["clipboard-read", "clipboard-write"])
    shown = operation(opened, "/v1/models/{model}:predict")
    shown.get_by_role("button", name="Copy").click()
    assert opened.page.evaluate("navigator.clipboard.readText()") == shown.locator("pre").last.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_real_document_is_shown_whole_and_can_be_read(open_page: Open, scheme: str) -> None:
    real = json.loads((PAGES / "openapi.json").read_text())
    opened = open_page("docs", key="", viewport=PHONE, color_scheme=scheme)
    page = opened.page
    summaries = page.locator("summary")
    expected = [f"{method.upper()} {path}" for path, item in real["paths"].items() for method in item]
    expect(summaries).to_have_count(len(expected))
    shown = [" ".join(summary.split()[:2]) for summary in summaries.all_inner_texts()]
    assert sorted(shown) == sorted(expected)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []
    assert max(page.evaluate(WIDER)) <= 0


def test_a_document_that_is_not_there_is_told(open_page: Open) -> None:
    opened = open_page(key="", refusals=True)
    opened.gateway.stand_in("/openapi.json", Reply.of({}, 500))
    opened.page.get_by_role("link", name="API documentation").click()
    expect(opened.page.get_by_role("alert")).to_have_text("openapi.json cannot be shown: 500 Internal Server Error")
    opened.page.get_by_role("link", name="Playground").click()
    expect(opened.page.get_by_label("API key")).to_be_visible()
