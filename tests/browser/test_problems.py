"""The playground: what it says when the API, or the way to it, says no."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.gateway import KEY, Reply

pytestmark = pytest.mark.slow

BUSY = {
    "title": "Service Unavailable",
    "status": 503,
    "detail": "No version of 'demo' can be served.",
    "remedy": "Wait.",
}
MANY = {"title": "Too Many Requests", "status": 429, "detail": "The daily quota of this API key is used up."}


def test_without_a_key_nothing_is_sent_until_somebody_insists(open_page: Open) -> None:
    opened = open_page(key="", refusals=True)
    page = opened.page
    expect(page.get_by_text("Paste an API key above, then type a text.")).to_be_visible()
    opened.type("a good film")
    page.wait_for_timeout(600)
    assert opened.gateway.paths() == ["/dev/"]
    page.get_by_role("button", name="Classify").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("403 Forbidden")
    expect(alert).to_contain_text("The API key is missing: paste it into its field above.")
    expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("API key").fill(KEY)
    page.get_by_label("API key").press("Enter")
    assert opened.answer().startswith("positive")
    expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "false")


def test_a_wrong_key_is_refused_as_api_gateway_words_it(open_page: Open) -> None:
    opened = open_page(key="wrong", refusals=True)
    alert = opened.page.get_by_role("alert")
    expect(alert).to_contain_text("The API key is missing, unknown, disabled or of another API.")
    expect(alert).to_contain_text("Check the API key above.")


def test_a_key_that_no_header_can_carry_is_not_sent(open_page: Open) -> None:
    opened = open_page(key="schlüssel-ключ")
    expect(opened.page.get_by_role("alert")).to_contain_text("Check the connection and the API key")
    assert opened.gateway.paths() == ["/dev/"]


def test_a_refusal_names_the_field_and_the_remedy_and_goes_with_the_cause(open_page: Open) -> None:
    opened = open_page(refusals=True)
    page, alert = opened.page, opened.page.get_by_role("alert")
    page.get_by_text("Options").click()
    page.get_by_label("Too long a text").select_option("error")
    opened.type("film " * 40)
    expect(alert).to_contain_text("422 Unprocessable Content")
    expect(alert).to_contain_text("The text has 42 tokens; the model reads 32.")
    expect(alert).to_contain_text("Shorten it, or allow truncation")
    expect(alert).to_contain_text("Field: instances[0]")
    expect(page.locator("#result")).to_be_hidden()
    page.get_by_label("Too long a text").select_option("windows")
    opened.answer()
    expect(alert).to_be_hidden()


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        ("7", "Wait 7 s, then try again."),
        ("Wed, 25 Nov 2026 07:28:00 GMT", "Wait until Wed, 25 Nov 2026 07:28:00 GMT."),
    ],
)
def test_who_is_to_wait_is_told_how_long(open_page: Open, wait: str, said: str) -> None:
    opened = open_page(refusals=True)
    for document in (BUSY, MANY):
        opened.gateway.stand_in(":predict", Reply.of(document, int(str(document["status"])), Retry_After=wait))
        opened.type(f"a good film {document['status']}")
        alert = opened.page.get_by_role("alert")
        expect(alert).to_contain_text(f"{document['status']} {document['title']}")
        expect(alert).to_contain_text(str(document["detail"]))
        expect(alert).to_contain_text(said)
    opened.gateway.no_stand_ins()
    opened.page.get_by_role("button", name="Classify").click()
    opened.answer()


def test_offline_is_said_and_the_text_is_classified_afterwards(open_page: Open) -> None:
    opened = open_page(refusals=True)
    opened.type("a good film")
    opened.answer()
    opened.context.set_offline(True)
    opened.type("a bad film")
    expect(opened.page.get_by_role("alert")).to_contain_text("You are offline")
    opened.context.set_offline(False)
    expect(opened.page.locator("#verdict")).to_contain_text("negative")


def test_an_answer_that_is_not_the_apis_is_not_taken_for_one(open_page: Open) -> None:
    opened = open_page(refusals=True)
    portal = Reply(200, b"<h1>Sign in to the hotel's network</h1>", {"Content-Type": "text/html"})
    opened.gateway.stand_in(":predict", portal)
    opened.type("a good film")
    expect(opened.page.get_by_role("alert")).to_contain_text("answers with something other than JSON")
    opened.gateway.stand_in(":predict", Reply(502, b"<h1>Bad gateway</h1>", {"Content-Type": "text/html"}))
    opened.type("a bad film")
    expect(opened.page.get_by_role("alert")).to_contain_text("502 Bad Gateway")


def test_without_an_explanation_the_answer_stands(open_page: Open) -> None:
    opened = open_page(refusals=True)
    detail = "Explaining the text takes 1,000,000 tokens."
    opened.gateway.stand_in(":explain", Reply.of({"detail": detail, "remedy": "Explain a part."}, 413))
    opened.type("a good film")
    assert opened.answer().startswith("positive")
    expect(opened.page.locator("#legend")).to_have_text(f"Not explained. {detail} Explain a part.")
    expect(opened.page.locator("#words")).to_have_text("a good film")
    expect(opened.page.get_by_role("alert")).to_be_hidden()
