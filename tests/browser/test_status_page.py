"""The page of ``slipway status`` by eye: colours, widths, and that the browser had nothing to ask for."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from model_build.operating.cloudwatch import Alarm
from model_build.operating.now import Job, Now
from model_build.operating.page import render
from model_build.operating.panels import figures
from model_build.operating.readings import Readings, Span
from slipway.releases import Canary, Live
from tests.browser.conftest import PHONE
from tests.browser.test_looks import FAINT, WIDER

pytestmark = pytest.mark.slow

SPAN = Span.until(1_795_690_000, minutes=60)
VERSIONS = ("20261125T221628Z-11ece9eed364", "20261126T075459Z-af7337b426c4")


def _busy() -> Readings:
    """An hour with something in every panel, and more labels than a panel shows."""
    chooser, readings = random.Random(1), Readings(SPAN)

    def some(most: float) -> list[float]:
        return [round(most * chooser.random()) for _ in range(SPAN.steps)]

    for name, statistics in {
        "Latency": ("SampleCount", "Sum", "p50", "p99"),
        "ColdStart": ("SampleCount", "Sum"),
    }.items():
        for statistic in statistics:
            readings.set(name, {}, statistic, some(2_000_000 if statistic == "Sum" else 400))
    for name in ("Texts", "Tokens", "Encode", "GpuTexts", "Errors", "Refusals"):
        readings.set(name, {}, "Sum", some(900))
    for statistic in ("p10", "p50", "p90"):
        readings.set("Confidence", {}, statistic, [chooser.random() for _ in range(SPAN.steps)])
    for number in range(12):
        label = f"a_label_that_is_as_long_as_labels_of_intents_are_{number:02}"
        readings.set("Labels", {"label": label}, "Sum", some(80))
    readings.set("Labels", {"label": "(abstained)"}, "Sum", some(9))
    for version in VERSIONS:
        readings.set("Latency", {"model_version": version, "backend": "cpu-int8"}, "SampleCount", some(300))
        readings.set("ShadowTexts", {"model_version": version}, "Sum", some(30))
    for kind in ("ModelUnavailable", "SlipwayError"):
        readings.set("Errors", {"kind": kind}, "Sum", some(9))
        readings.set("GpuFallbacks", {"kind": kind}, "Sum", some(9))
    return readings


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    readings = _busy()
    live = Live(
        version=VERSIONS[0],
        action="canary",
        by="ada",
        at="2026-11-26T10:00:00+00:00",
        why="",
        canary=Canary(VERSIONS[1], 0.1),
    )
    now = Now(
        model="tickets",
        stage="prod",
        source="CloudWatch's metrics",
        minutes=60,
        live=live,
        figures=figures(readings, memory_mb=1769),
        alarms=[Alarm("slipway-prod-tickets-api-ObjectivesFastburnAlarm", "2026-11-26 10:31", "It fails too often.")],
        jobs=[Job("inbox/tickets/a-file-with-a-long-name-2026-11-26.csv", "running", 1_200_000, 340_000, 12)],
    )
    path = tmp_path_factory.mktemp("status") / "page.html"
    path.write_text(render(now, readings, memory_mb=1769), "utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, written: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    with browser.new_context(color_scheme=request.param, offline=True) as context:
        complaints: list[str] = []
        opened = context.new_page()
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("request", lambda asked: complaints.append(asked.url) if asked.url != written.as_uri() else None)
        opened.goto(written.as_uri())
        yield opened
        assert complaints == []


@pytest.mark.parametrize("size", [PHONE, {"width": 320, "height": 640}, {"width": 1280, "height": 900}], ids=str)
def test_it_fits_and_can_be_read(page: Page, size: dict[str, int]) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    assert max(page.evaluate(WIDER)) <= 0
    assert page.evaluate(FAINT) == []
    assert page.locator("figure svg").count() == 14


def test_series_differ_from_the_page_and_from_their_neighbours(page: Page) -> None:
    (panel,) = [each for each in page.locator("figure").all() if "Label mix" in each.inner_text()]
    colors = [mark.evaluate("(mark) => getComputedStyle(mark).backgroundColor") for mark in panel.locator("i").all()]
    assert len(set(colors)) == len(colors) == 9, "eight labels, and the others as one"
