"""The playground's curl command, as a shell runs it."""

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, Versions
from tests.browser.gateway import KEY

pytestmark = pytest.mark.slow

TEXTS = {
    "quotes": """it's "good", isn't it? ''' \\' \\" \\""",
    "shell": "$HOME `id` $(id) !! && rm -rf * ; # good > film \\n %s",
    "scripts": "好 فيلم 👩‍👩‍👧‍👦 é é",
    "lines": "good\n\n\tfilm\n",
    "invisible": "good \u202egnol\u202c \u200bfilm \u2028 \u00ad \u0085 \U000e0001 end",
}


def run(command: str, key: str = KEY) -> Any:
    """The answer to the command, run by the POSIX shell as it was copied."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "SLIPWAY_API_KEY": key}
    done = subprocess.run(
        ["sh", "-euc", command.replace("curl ", "curl --silent --show-error --noproxy '*' ", 1)],
        env=environment,
        capture_output=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed.")
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_copied_command_gets_the_answer_that_is_shown(open_page: Open, text: str) -> None:
    opened = open_page(permissions=["clipboard-read", "clipboard-write"])
    opened.type(text)
    verdict = opened.answer()
    page = opened.page
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert KEY not in command
    assert '-H "x-api-key: $SLIPWAY_API_KEY"' in command
    assert command.isprintable() or set("".join(c for c in command if not c.isprintable())) == {"\n"}
    answer = run(command)
    (sent,) = {seen.body for seen in opened.gateway.seen[:-1] if seen.path.endswith(":predict")}
    assert json.loads(opened.gateway.seen[-1].body) == json.loads(sent) == {"instances": [text]}
    assert answer == opened.gateway.ask("v1/models/demo:predict", {"instances": [text]})
    assert verdict.startswith(answer["predictions"][0]["label"])


def test_the_command_asks_the_chosen_version_with_the_chosen_options(open_page: Open, versions: Versions) -> None:
    opened = open_page()
    opened.type("good film " * 20)
    opened.answer()
    page = opened.page
    page.get_by_label("Answered by").select_option(f"versions/{versions.canary}")
    page.get_by_text("Options").click()
    page.get_by_label("Give no label below").fill("0.25")
    page.get_by_label("Too long a text").select_option("left")
    expect(page.locator("#answered")).to_have_text(versions.canary)
    expect(page.locator("#curl")).to_contain_text('"truncate":"left"')
    answer = run(page.locator("#curl").inner_text())
    assert answer["model_version"] == versions.canary
    assert json.loads(opened.gateway.seen[-1].body)["parameters"] == {"abstain_below": 0.25, "truncate": "left"}


def test_it_is_copied_where_the_browser_has_no_clipboard_for_pages_as_well(open_page: Open) -> None:
    opened = open_page()
    opened.type("a good film")
    opened.answer()
    page, field = opened.page, opened.page.get_by_label("Text", exact=True)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as over plain HTTP
    command = page.locator("#curl").inner_text()
    page.get_by_role("button", name="Copy").click()
    field.fill("")
    field.press("Control+v")
    expect(field).to_have_value(command)
