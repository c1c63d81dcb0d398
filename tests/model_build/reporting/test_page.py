"""The page: every number is on it, and whatever the texts hold, it stays one well-formed page."""

from html.parser import HTMLParser
from typing import Any

import pytest

from model_build.reporting.page import list_findings, number, percent, render_page
from model_build.reporting.report import ReportData
from tests.model_build.samples import LABELS, quality, sample

HOSTILE = "</td><script>alert(1)</script><img src=//evil onerror=x> {{ 7 * 7 }} {% raw %} $x$ \x00"


class Page(HTMLParser):
    """The tags, links and words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in {"meta", "path", "use", "rect", "br"}:
            self.open.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def write(data: ReportData) -> str:
    return render_page(data, {})


def hostile_sample() -> ReportData:
    """Texts, labels and names that are markup."""
    labels = [HOSTILE, "positive"]
    found = quality(labels, [[3, 1], [1, 3]])
    found["errors"] = [{"kind": "near", "text": HOSTILE, "given": HOSTILE, "predicted": "positive", "score": 0.5}]
    return sample(
        labels=labels,
        quality=found,
        data={
            "path": HOSTILE,
            "dropped": {HOSTILE: 1},
            "suspects": [{"text": HOSTILE, "given": HOSTILE, "suggested": HOSTILE, "confidence": 1.0}],
            "class_balance": {HOSTILE: dict.fromkeys(labels, 4)},
            "findings": {HOSTILE: 3, "languages": {HOSTILE: 1.0}, "examples": {HOSTILE: [{"row": 1, "text": HOSTILE}]}},
        },
        overrides=[HOSTILE],
        serve_reason=HOSTILE,
    )


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(write(sample()))


@pytest.mark.parametrize(
    "words",
    [
        "test accuracy 83.9 % 95 %: 81.4 % to 86.3 %",
        "baseline, tf-idf + logistic regression 77.9 % +5.9 points with this model",
        "serves on CPUs int8 int8 is 3.37 times as fast",
        "a million texts a month $3.73",
        "10,662 rows read from",
        "1,214 duplicate, 12 conflicting labels",
        "near duplicates 33 texts in 16 groups, 3 of them across splits (8,528 texts compared, similarity from 80 %)",
        "a warm , funny , engaging film .",
        "goes from 5.23 % to 1.87 %",
        "first half only 72.7 % 82.2 %",
        "it is not the worst film of the year",
        "cut:0.5+distil rows 84.2 % 83.9 % 6.20 % 0.00 % 0.89 17.5 ships",
        "Not measured: arm64.",
        "slipway build --config configs/demo.toml --rebuild --set train.seed=14",
        "content 3f1c3f1c",
    ],
)
def test_the_page_tells(page: Page, words: str) -> None:
    assert words in page.text


def test_training_is_told_as_people_count() -> None:
    page = Page(render_page(sample(), {"training": "<svg></svg>"}))
    assert "epochs 3, steps 642, best dev score 0.8451, precision bf16." in page.text


def test_a_plot_is_put_where_it_belongs() -> None:
    page = Page(render_page(sample(), {"frontier": "<svg></svg>", "unheard-of": "<svg></svg>"}))
    assert page.tags.count("svg") == 1


def test_hostile_texts_and_labels_stay_text() -> None:
    page = Page(write(hostile_sample()))
    assert not {"script", "img"} & set(page.tags)
    assert page.open == []
    assert page.text.count("{{ 7 * 7 }}") >= 8


def test_what_was_not_measured_is_left_out() -> None:
    data = sample(
        data={}, training={}, quality={}, baselines=[], frontier=[], layer_cost=[], constraint="", speed={"int8": {}}
    )
    page = Page(write(data))
    for section in ("Calibration", "Abstention", "Slices", "Robustness", "Compression", "Cost"):
        assert section not in page.words
    assert page.open == []


def test_a_thousand_labels_are_folded_away() -> None:
    labels = [f"topic {i}" for i in range(1_000)]
    found = quality(LABELS, [[3, 1], [1, 3]]) | {"confusion": None}
    found["classes"] = [found["classes"][0] | {"label": label} for label in labels]
    balance = {split: dict.fromkeys(labels, 9) for split in ("train", "dev", "test")}
    page = Page(write(sample(labels=labels, quality=found, data={"class_balance": balance})))
    assert "All 1000 labels" in page.words


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "multi-label", "quality": quality(LABELS, [[3, 1], [1, 3]]) | {"confusion": None, "confused": []}},
        {"serve": "fp32", "serve_reason": "int8 is only 1.1 times as fast as fp32 here, and 1.3 is asked for."},
        {"baselines": [], "code_revision": "unknown"},
    ],
)
def test_other_kinds_of_build_have_a_page_too(changes: dict[str, Any]) -> None:
    assert Page(write(sample(**changes))).open == []


def test_what_json_gives_back_is_drawn_the_same() -> None:
    """Numbers that cannot be said are null in a quality report."""
    found = quality(LABELS, [[3, 1], [1, 3]])
    found["summary"] = dict.fromkeys(found["summary"])
    found["classes"] = [dict.fromkeys(row) | {"label": row["label"], "texts": 4} for row in found["classes"]]
    found["calibration"]["before"]["error"] = None
    assert "\N{EN DASH}" in Page(write(sample(quality=found))).text


def test_findings_are_told_whatever_they_are() -> None:
    findings = {"rows": 9, "html_stripped": False, "new_count": 1_234, "new_share": 0.5, "new_list": [1], "none": None}
    assert list_findings(findings) == [("HTML stripped", "no"), ("new count", "1,234"), ("new share", "50.0 %")]


def test_of_many_languages_twelve_are_told() -> None:
    ((_, words),) = list_findings({"languages": {f"l{i}": 1 / 20 for i in range(20)}})
    assert words.startswith("l0 5.0 %, l1 5.0 %")
    assert words.endswith("l11 5.0 % and 8 more")


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_what_is_not_known_is_a_dash(nothing: float | None) -> None:
    assert number(nothing) == percent(nothing) == "\N{EN DASH}"
