"""Both pages by eye and by ear: colours, sizes, names, and what the browser is allowed to do for them."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Open
from tests.browser.gateway import Reply
from tests.browser.opened import Opened

pytestmark = pytest.mark.slow

# Every text in sight whose colour is too close to what is behind it (WCAG 2.2, 1.4.3: 4.5 to 1).
FAINT = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const over = (colors) => {
        canvas.fillStyle = "white";
        canvas.fillRect(0, 0, 1, 1);
        for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!own && !element.matches("input, select, textarea")) continue;
        if (!element.checkVisibility() || element.matches("script, style, option, .unseen")) continue;
        const behind = [];
        for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
        const color = getComputedStyle(element).color;
        const [a, b] = [light(over(behind)), light(over([...behind, color]))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) found.push(`${element.tagName} "${element.textContent.slice(0, 30)}": ${ratio.toFixed(2)}`);
    }
    return found;
}"""
NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, [tabindex]")]
    .filter((element) => !(element.labels?.length || element.ariaLabel || element.innerText?.trim()))
    .map((element) => element.outerHTML)"""
WIDER = "() => [document.documentElement, document.body].map((element) => element.scrollWidth - innerWidth)"
LONG = "a film, good music and bad acting " + "Donaudampfschifffahrtsgesellschaft" * 12


def filled(opened: Opened) -> Page:
    """The playground with everything on it that it has."""
    page = opened.page
    scores = {f"a_label_that_is_as_long_as_labels_of_intents_are_{number:02}": 1 / (number + 2) for number in range(12)}
    prediction = {"label": next(iter(scores)), "score": 0.5, "scores": scores, "tokens": 100, "truncated": True}
    answer = {"predictions": [prediction], "model_version": "20261125T221628Z-11ece9eed364", "backend": "cpu-int8"}
    opened.gateway.stand_in(":predict", Reply.of(answer))
    opened.type(LONG)
    opened.answer()
    page.get_by_text("Options").click()
    page.get_by_text("Words in numbers").click()
    page.mouse.move(0, 0)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 320, "height": 640}, {"width": 1280, "height": 900}], ids=str)
def test_the_playground_fits_and_can_be_read(open_page: Open, scheme: str, size: dict[str, int]) -> None:
    page = filled(open_page(viewport=size, color_scheme=scheme, has_touch=size == PHONE))
    assert max(page.evaluate(WIDER)) <= 0
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_error_can_be_read(open_page: Open, scheme: str) -> None:
    page = open_page(viewport=PHONE, color_scheme=scheme, key="wrong", refusals=True).page
    expect(page.get_by_role("alert")).to_contain_text("403")
    assert page.evaluate(FAINT) == []
    assert max(page.evaluate(WIDER)) <= 0


def test_a_phone_gets_targets_that_a_thumb_hits(open_page: Open) -> None:
    page = filled(open_page(viewport=PHONE, has_touch=True, is_mobile=True))
    for control in page.locator("button:visible, select:visible, input:not([type=checkbox]):visible").all():
        box = control.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 40
    expect(page.get_by_text("Ctrl")).to_be_hidden()


def test_for_and_against_differ_without_their_colours(open_page: Open) -> None:
    opened = open_page()
    opened.type("a good good film, bad bad bad")
    opened.answer()
    styles = opened.page.evaluate(
        """() => Object.fromEntries(Array.from(document.querySelectorAll("#words mark"),
            (mark) => [mark.className, getComputedStyle(mark).textDecorationStyle]))"""
    )
    assert styles == {"": "solid", "against": "dotted"}


def test_a_reader_of_the_screen_finds_its_way(open_page: Open) -> None:
    opened = open_page()
    opened.type("a good film")
    opened.answer()
    page = opened.page
    for role, name in {"textbox": "Text", "combobox": "Answered by", "button": "Classify", "region": "Answer"}.items():
        expect(page.get_by_role(role, name=name, exact=True)).to_be_visible()
    headings = [heading.inner_text() for heading in page.get_by_role("heading").all()]
    assert headings == ["demo", "Words that mattered", "The same with curl"]


@pytest.mark.parametrize("path", ["", "docs"])
def test_the_policy_lets_nothing_out_or_in(open_page: Open, path: str) -> None:
    opened = open_page(path)
    page = opened.page
    response = page.goto(opened.gateway.url + path)
    assert response
    policy = response.headers["content-security-policy"]
    assert all(part in policy for part in ("default-src 'none'", "connect-src 'self'", "img-src data:"))
    violated: Any = page.evaluate(
        """async () => {
            const violated = [];
            document.addEventListener("securitypolicyviolation", (event) => violated.push(event.effectiveDirective));
            await fetch("https://example.com/").catch(() => 0);
            document.body.append(Object.assign(new Image(), { src: "https://example.com/a.png" }));
            document.body.append(Object.assign(document.createElement("script"), { src: "https://example.com/a.js" }));
            document.body.append(Object.assign(document.createElement("iframe"), { src: "https://example.com/" }));
            for (let i = 0; i < 100 && violated.length < 4; i++) await new Promise((done) => setTimeout(done, 50));
            return violated.sort();
        }"""
    )
    assert violated == ["connect-src", "frame-src", "img-src", "script-src-elem"]
    opened.errors.clear()  # the console names what was tried here
    opened.requests[:] = [url for url in opened.requests if not url.startswith("https://example.com/")]
