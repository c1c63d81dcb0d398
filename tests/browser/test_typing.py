"""The playground: when it asks, what it asks, and which answer it shows."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.gateway import KEY, Gateway
from tests.browser.opened import Opened

pytestmark = pytest.mark.slow


def texts(gateway: Gateway, ending: str = ":predict") -> list[str]:
    """What was sent to be classified, in order."""
    return [json.loads(seen.body)["instances"][0] for seen in gateway.seen if seen.path.endswith(ending)]


def test_typing_is_answered_after_a_pause_and_not_at_every_key(open_page: Open) -> None:
    opened = open_page()
    expect(opened.page.get_by_label("Text", exact=True)).to_be_focused()  # before that a key reaches nothing
    opened.page.keyboard.type("a good film", delay=15)
    assert opened.answer().startswith("positive")
    assert texts(opened.gateway) == ["a good film"]
    opened.page.keyboard.type(" and a bad one", delay=15)
    opened.gateway.await_paths(":explain", 2)
    assert texts(opened.gateway) == texts(opened.gateway, ":explain") == ["a good film", "a good film and a bad one"]


def test_everything_works_by_keyboard_alone(open_page: Open) -> None:
    opened = open_page(key="", permissions=["clipboard-read", "clipboard-write"])
    page, keyboard = opened.page, opened.page.keyboard
    expect(page.get_by_label("API key")).to_be_focused()
    keyboard.type(KEY)
    keyboard.press("Enter")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo")
    keyboard.type("a good film")
    keyboard.press("Control+Enter")
    assert opened.answer().startswith("positive")
    walked = _walk(opened)
    assert walked[:3] == ["classify", "Options", "Words in numbers"]
    assert walked[-2:] == ["copy", "curl"]
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#curl").inner_text()


def _walk(opened: Opened) -> list[str]:
    """Tab to the page's end: what has the focus, each time visibly."""
    walked = []
    while not walked or walked[-1] != "curl":
        opened.page.keyboard.press("Tab")
        name, outline = opened.page.evaluate(
            "() => [document.activeElement.id || document.activeElement.innerText, "
            "getComputedStyle(document.activeElement).outlineWidth]"
        )
        assert outline == "3px", name
        walked.append(name)
    return walked


def test_at_once_by_button_or_key_even_if_typing_is_not_to_be_answered(open_page: Open) -> None:
    opened = open_page()
    page = opened.page
    page.get_by_text("Options").click()
    page.get_by_label("Classify while I type").uncheck()
    opened.type("a good film")
    page.wait_for_timeout(600)
    assert texts(opened.gateway) == []
    page.get_by_role("button", name="Classify").click()
    opened.answer()
    opened.type("a bad film")
    page.keyboard.press("Meta+Enter")
    opened.gateway.await_paths(":predict", 2)
    expect(page.locator("#verdict")).to_contain_text("negative")


def test_a_superseded_request_never_overwrites_a_newer_answer(open_page: Open) -> None:
    opened = open_page()
    with opened.gateway.holding("slowly"):
        opened.type("good, slowly")
        opened.gateway.await_paths(":predict", 1)
        opened.type("bad and boring")
        assert opened.answer().startswith("negative")
    opened.page.wait_for_timeout(400)  # the held answer is out now
    assert opened.answer().startswith("negative")
    assert opened.page.locator("#words").inner_text() == "bad and boring"
    assert '"bad and boring"' in opened.page.locator("#curl").inner_text()


def test_a_superseded_explanation_is_not_shown_either(open_page: Open) -> None:
    opened = open_page()
    with opened.gateway.holding(":explain"):
        opened.type("a good film")
        expect(opened.page.locator("#verdict")).to_contain_text("positive")
        opened.gateway.await_paths(":explain", 1)
        opened.type("")
        expect(opened.page.locator("#empty")).to_have_text("The answer appears here.")
    opened.page.wait_for_timeout(400)
    expect(opened.page.locator("#result")).to_be_hidden()


def test_a_long_text_is_explained_after_a_longer_pause_or_when_somebody_asks(open_page: Open) -> None:
    opened = open_page()
    opened.type("good film " * 100)
    expect(opened.page.locator("#legend")).to_have_text("Weighing each word…")
    assert texts(opened.gateway, ":explain") == []
    opened.page.keyboard.press("Control+Enter")
    opened.answer()
    assert len(texts(opened.gateway)) == 2
    assert len(texts(opened.gateway, ":explain")) == 1


def test_half_a_word_of_an_input_method_is_not_sent(open_page: Open) -> None:
    opened = open_page()
    page = opened.page
    client = opened.context.new_cdp_session(page)
    for composed in ("h", "ha", "hao"):
        client.send("Input.imeSetComposition", {"text": composed, "selectionStart": 3, "selectionEnd": 3})
    page.wait_for_timeout(600)
    assert texts(opened.gateway) == []
    client.send("Input.insertText", {"text": "好"})
    assert opened.answer().startswith("positive")
    assert texts(opened.gateway) == ["好"]


def test_both_requests_for_a_text_have_one_id_and_each_text_its_own(open_page: Open) -> None:
    opened = open_page()
    for text in ("a good film", "a bad film"):
        opened.type(text)
        opened.answer()
        expect(opened.page.locator("#words")).to_have_text(text)
    ids = [seen.headers["x-request-id"] for seen in opened.gateway.seen if seen.method == "POST"]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_the_stage_may_be_typed_without_a_slash(open_page: Open) -> None:
    opened = open_page()
    opened.page.goto(opened.gateway.url.removesuffix("/"))
    opened.type("a good film")
    assert opened.answer().startswith("positive")
    assert (
        opened.page.get_by_role("link", name="API documentation").get_attribute("href") == f"{opened.gateway.url}docs"
    )


def test_the_key_stays_in_the_tab_and_out_of_every_address(open_page: Open) -> None:
    opened = open_page(key="")
    page = opened.page
    field = page.get_by_label("API key")
    field.fill(KEY)
    field.press("Enter")
    opened.type("a good film")
    opened.answer()
    assert all(KEY not in url for url in [page.url, *opened.requests])
    assert page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]") == [
        {"slipway-api-key": KEY},
        {},
        "",
    ]
    assert KEY not in page.content()
    expect(field).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show the key").click()
    expect(field).to_have_attribute("type", "text")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
