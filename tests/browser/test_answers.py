"""The playground: a text is typed, and the page says what the model says, in any script."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, Versions
from tests.browser.gateway import Gateway, Reply
from tests.browser.opened import Opened

pytestmark = pytest.mark.slow

MINUS = chr(0x2212)
NOISE = 0.005  # a weight that the page does not mark
TEXTS = {
    "English": "the film was good and the music bad",
    "Chinese": "这部片很好，但是音乐很差。",  # noqa: RUF001
    "Arabic": "فيلم جميل و ممل",
    "emoji": "🎬 😀 👩‍👩‍👧‍👦 was 😡 great 🏳️‍🌈!",
    "whitespace": "\n\t the   film\u00a0was\u2003good \u200b\u2028 and\tbad \n\n\n",
    "markup": "good <b onclick=alert(1)>film</b> <script>document.title='gone'</script> bad &amp; <img src=x>",
}


def explained(gateway: Gateway, text: str) -> dict[str, Any]:
    """What the API itself says about the text."""
    found: dict[str, Any] = gateway.ask("v1/models/demo:explain", {"instances": [text]})["explanations"][0]
    return found


def rows(opened: Opened) -> list[tuple[str, str, float]]:
    """Label, score and the bar's share of the room it has, row by row."""
    found = opened.page.evaluate(
        """() => Array.from(document.querySelectorAll("#scores tbody tr:not([hidden])"), (row) => {
            const bar = row.querySelector(".meter");
            const room = parseFloat(getComputedStyle(bar.parentElement).gridTemplateColumns.split(" ").at(-1));
            const [label, score] = ["bdi", "td"].map((name) => row.querySelector(name).innerText);
            return [label, score, bar.getBoundingClientRect().width / room];
        })"""
    )
    return [(label, score, share) for label, score, share in found]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_script_is_shown_as_it_was_typed_with_its_words_marked(open_page: Open, text: str) -> None:
    opened = open_page()
    opened.type(text)
    opened.answer()
    assert opened.page.locator("#words").evaluate("(element) => element.textContent") == text
    answer = explained(opened.gateway, text)
    strongest = max(abs(word["weight"]) for word in answer["words"])
    expected = [
        {
            "word": text[word["start"] : word["end"]],
            "start": word["start"],
            "title": f"{word['weight']:+.3f} for {answer['about']}".replace("-", MINUS),
            "kind": "against" if word["weight"] < 0 else "",
        }
        for word in answer["words"]
        if abs(word["weight"]) >= max(NOISE, strongest / 5)
    ]
    assert opened.marks() == expected
    assert expected, "the model of these tests knows words of each text"
    opened.page.get_by_text("Words in numbers").click()
    assert opened.page.locator("#numbers tbody tr").count() == len(answer["words"])


def test_the_answer_has_bars_numbers_and_where_it_came_from(open_page: Open, versions: Versions) -> None:
    opened = open_page()
    text = "a film, neither good nor bad"
    opened.type(text)
    assert opened.answer().split()[0] == explained(opened.gateway, text)["label"]
    scores = explained(opened.gateway, text)["scores"]
    shown = rows(opened)
    assert [label for label, _, _ in shown] == sorted(scores, key=scores.__getitem__, reverse=True)
    for label, score, share in shown:
        assert share == pytest.approx(scores[label], abs=0.01)
        assert score.endswith(" %")
        assert float(score.strip("<> %")) == pytest.approx(100 * scores[label], abs=0.1)
    page = opened.page
    expect(page.locator("#tokens")).to_have_text("9 of 32")
    assert page.locator("#time").inner_text().removesuffix(" ms").isdigit()
    expect(page.locator("#answered")).to_have_text(versions.live)
    expect(page.locator("#backend")).to_have_text("cpu-int8")
    expect(page.get_by_role("heading", level=1)).to_have_text("demo")
    expect(page).to_have_title("demo · Slipway")


def test_the_answer_is_a_table_and_is_announced(open_page: Open) -> None:
    opened = open_page()
    opened.type("a good film")
    verdict = opened.answer()
    page = opened.page
    expect(page.get_by_role("status")).to_have_text(verdict)
    expect(page.get_by_role("table", name="Scores of the labels").get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("rowheader", name="positive")).to_be_visible()


def test_right_to_left_text_runs_right_to_left(open_page: Open) -> None:
    opened = open_page()
    opened.type(TEXTS["Arabic"])
    opened.answer()
    first, *_, last = (mark.bounding_box() for mark in opened.page.locator("#words mark").all())
    assert first
    assert last
    assert first["x"] > last["x"]
    assert opened.page.locator("#input").evaluate("(element) => getComputedStyle(element).direction") == "rtl"


def test_markup_in_a_text_stays_text(open_page: Open) -> None:
    opened = open_page()
    opened.type(TEXTS["markup"])
    opened.answer()
    page = opened.page
    assert page.locator("#words *:not(mark):not(span), #curl *").count() == 0
    assert page.evaluate("document.images.length + document.scripts.length") == 1
    expect(page).to_have_title("demo · Slipway")


def test_what_is_cut_off_is_said_and_shown(open_page: Open) -> None:
    opened = open_page()
    opened.type("good " + "film " * 40 + "the end")
    opened.answer()
    expect(opened.page.locator("#cut")).to_have_text(
        "The text was cut: it has 45 tokens, and the model reads 32.", use_inner_text=True
    )
    assert opened.page.locator("#words .unread").inner_text().endswith("the end")


def test_a_version_is_chosen_by_its_label_or_its_name(open_page: Open, versions: Versions) -> None:
    opened = open_page()
    opened.type("a good film")
    opened.answer()
    choice, answered = opened.page.get_by_label("Answered by"), opened.page.locator("#answered")
    for value, version in {
        "labels/canary": versions.canary,
        f"versions/{versions.live}": versions.live,
        f"versions/{versions.canary}": versions.canary,
        "labels/live": versions.live,
        "": versions.live,
    }.items():
        choice.select_option(value)
        expect(answered).to_have_text(version)
        opened.answer()


def test_a_label_that_is_gone_is_told_and_asked_for_again(open_page: Open) -> None:
    opened = open_page(refusals=True)
    opened.type("a good film")
    opened.answer()
    opened.page.evaluate("document.querySelector('#version option[value=\"labels/canary\"]').value = 'labels/shadow'")
    opened.page.get_by_label("Answered by").select_option("labels/shadow")
    expect(opened.page.get_by_role("alert")).to_contain_text("'demo' has no shadow now.")
    opened.page.get_by_role("button", name="Classify").click()
    opened.answer()
    assert opened.page.locator("#version option[value='labels/canary']").count() == 1


def test_a_score_that_does_not_suffice_gives_no_label(open_page: Open) -> None:
    opened = open_page()
    opened.type("a film, neither good nor bad")
    opened.answer()
    opened.page.get_by_text("Options").click()
    opened.page.get_by_label("Give no label below").fill("1")
    expect(opened.page.locator("#verdict")).to_have_text("No label: no score reaches 100.0 %")
    expect(opened.page.locator("#scores .chosen")).to_have_count(0)


def test_a_multi_label_answer_says_which_apply(open_page: Open) -> None:
    opened = open_page()
    scores = {f"topic {number:02}": round(0.99 - number / 30, 3) for number in range(25)}
    applying = [label for label, score in scores.items() if score >= 0.5]
    prediction = {"label": "topic 00", "labels": applying, "score": 0.99, "scores": scores, "tokens": 4}
    answer = {"predictions": [{**prediction, "truncated": False}], "model_version": "v", "backend": "cpu-int8"}
    opened.gateway.stand_in(":predict", Reply.of(answer))
    opened.type("of many things")
    assert opened.answer() == ", ".join(applying)
    page = opened.page
    expect(page.locator("#scores .chosen")).to_have_count(len(applying))
    assert page.locator("#scores .chosen").first.inner_text().split("\t")[-1] == "✓ applies"
    assert len(rows(opened)) == len(applying) == 15
    page.get_by_role("button", name="Show all 25 labels").click()
    assert len(rows(opened)) == 25
