"""The page of the report: a Jinja template, escaped throughout, and the few words it needs for numbers."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model_build.reporting import cost, verdict

if TYPE_CHECKING:
    from model_build.reporting.report import ReportData

_TEMPLATES = Path(__file__).parent / "templates"
_SHOWN_ELSEWHERE = {"rows", "kept", "dropped", "balance", "lengths", "examples"}
_FINDINGS = {
    "mended": "encodings mended",
    "html": "texts with HTML",
    "html_stripped": "HTML stripped",
    "language_texts": "languages guessed of",
}
_MOST_PARTS = 12
_NOTHING = "–"  # noqa: RUF001 - a dash, not a minus


def render_page(data: "ReportData", plots: Mapping[str, str]) -> str:
    """The page as HTML; ``plots`` are ``<svg>`` elements by name. Everything else in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,  # texts and labels are whatever the internet holds
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "number": number,
        "points": points,
        "dollars": cost.dollars,
        "words": words,
        "passed": verdict.passed,
    }
    page = environment.get_template("report.html.j2")
    return page.render(
        data=data,
        plots={name: Markup(svg) for name, svg in plots.items()},  # noqa: S704 - ours, and matplotlib escapes its text
        css=Markup((_TEMPLATES / "report.css").read_text("utf-8")),  # noqa: S704 - ours
        compared=verdict.compared(data),
        cautions=verdict.cautions(data),
        damaged=verdict.damaged(data)[1],
        findings=list_findings(data.data.get("findings", {})),
        costs=cost_rows(data),
        prices=cost,
        command=shlex.join(["slipway", "build", "--config", data.config_path, "--rebuild", *data.overrides]),
    )


def cost_rows(data: "ReportData") -> list[tuple[cost.Cost, cost.Cost]]:
    """A month of the served variant on x86-64 and on arm64 at the same milliseconds; empty where it was not timed."""
    speed = data.speed.get(data.serve, {})
    if "ms_alone" not in speed:
        return []
    times = (speed["ms_alone"], speed.get("ms_packed", speed["ms_alone"]))
    return list(zip(cost.cost_table(*times), cost.cost_table(*times, cpu="arm64"), strict=True))


def list_findings(findings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Counts and shares of the cleaning report in words, without what has a place of its own on the page.

    >>> list_findings({"html": {"count": 3, "examples": []}, "languages": {"en": 0.98, "de": 0.02}})
    [('texts with HTML', '3'), ('languages', 'en 98.0 %, de 2.0 %')]
    """
    told = {name: _told(value) for name, value in findings.items() if name not in _SHOWN_ELSEWHERE}
    if "near_duplicates" in told:
        told["near_duplicates"] = _told_alike(findings["near_duplicates"])
    return [(_FINDINGS.get(name, name.replace("_", " ")), text) for name, text in told.items() if text]


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 in hundredths; a dash for what was not measured."""
    return _NOTHING if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def number(value: float | str | None, digits: int = 4) -> str:
    """A number with so many digits after the point, and whole ones with none; a dash for what was not measured."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _NOTHING
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.1f}"


def words(name: str) -> str:
    """The name of a metric as people write it.

    >>> words("macro_f1")
    'macro F1'
    """
    return name.replace("_", " ").replace("f1", "F1").replace("roc auc", "ROC AUC")


def _told_alike(alike: Mapping[str, Any]) -> str:
    if not alike["groups"]:
        return f"none among {alike['looked_at']:,} texts"
    found = f"{alike['grouped']:,} texts in {alike['groups']:,} groups, {alike['crossing']:,} of them across splits"
    return f"{found} ({alike['looked_at']:,} texts compared, similarity from {percent(alike['similarity'], 0)})"


def _told(value: Any) -> str:
    """A count, a share, an answer, or several of them by name; nothing for lists."""
    if isinstance(value, Mapping):
        parts = {key.replace("_", " "): _told(part) for key, part in value.items()}
        told = [text if key == "count" else f"{key} {text}" for key, text in parts.items() if text]
        more = f" and {len(told) - _MOST_PARTS} more" if len(told) > _MOST_PARTS else ""
        return ", ".join(told[:_MOST_PARTS]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return percent(value) if isinstance(value, float) else ""
