"""A page of the API that a test has opened, and what happened on it."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.browser.gateway import Gateway


@dataclass
class Opened:
    """A page of the API in a browser of its own. ``errors`` is what the console complained about."""

    page: Page
    context: BrowserContext
    gateway: Gateway
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refusals_expected: bool = False

    def watch(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        refusal = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (refusal and self.refusals_expected):
            self.errors.append(message.text)

    def type(self, text: str) -> None:
        """Put a text into the field at once, as a paste does."""
        self.page.get_by_label("Text", exact=True).fill(text)

    def answer(self) -> str:
        """What the newest text is answered, once its words are marked as well."""
        self.page.wait_for_function(
            """() => {
                const [input, words, why] = ["input", "words", "why"].map((id) => document.getElementById(id));
                return words.checkVisibility() && words.textContent === input.value && !why.ariaBusy;
            }"""
        )
        return self.page.locator("#verdict").inner_text()

    def marks(self) -> list[dict[str, Any]]:
        """Highlighted words in the order of the text, with where they begin in it, in code points."""
        found: list[dict[str, Any]] = self.page.evaluate(
            """() => {
                let at = 0;
                const marks = [];
                for (const node of document.getElementById("words").childNodes) {
                    const word = node.textContent, { title, className: kind } = node;
                    if (node.nodeName === "MARK") marks.push({ word, start: at, title, kind });
                    at += Array.from(word).length;
                }
                return marks;
            }"""
        )
        return found
