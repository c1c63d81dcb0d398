"""What a deployment does as one HTML file: figures and panels, drawn here, with nothing to load from anywhere."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from model_build.operating.charts import COUNTED, chart, short
from model_build.operating.now import Now
from model_build.operating.panels import Panel, panels
from model_build.operating.readings import Readings, Series, total

_STYLE = Path(__file__).with_name("page.css")
# The page may do nothing at all; its style is its own.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(now: Now, readings: Readings, *, memory_mb: int) -> str:
    """The whole file."""
    span = readings.span
    told = f"{datetime.fromtimestamp(span.start):%d %b %H:%M} to {datetime.fromtimestamp(span.end):%d %b %H:%M}"
    drawn = "".join(_figure(panel, readings) for panel in panels(readings, memory_mb=memory_mb))
    title = escape(f"{now.model} · {now.stage}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{title} · Slipway</title>\n<style>\n{_STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1><p>{told}, in steps of {_steps(span.seconds)}. {_serving(now)}</p></header>\n"
        f"{''.join(_alarms(now))}"
        f'<div class="tiles">{"".join(_tiles(now))}</div>\n<main>{drawn}</main>\n{"".join(_jobs(now))}'
        f"<footer>Read from {escape(now.source)}. Dollars are list prices for {memory_mb:,} MB in us-east-1, without "
        "cold starts and logs.</footer>\n</body>\n</html>\n"
    )


def _steps(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:g} h"


def _serving(now: Now) -> str:
    return escape("; ".join(now.serving()) + ".") if now.version else "Nothing is live."


def _alarms(now: Now) -> Iterator[str]:
    for alarm in now.alarms:
        yield f'<p class="alarm"><b>{escape(alarm.name)}</b> since {escape(alarm.since)}: {escape(alarm.says)}</p>'


def _tiles(now: Now) -> Iterator[str]:
    found = now.figures
    rate = short(round(found.requests_per_second, 2))
    yield _tile(f"{found.requests:,}", f"requests, {rate} a second")
    kinds = ", ".join(found.errors_by_kind) or "no 5xx"
    yield _tile(f"{100 * found.error_part:.2f} %", f"failed: {kinds}", bad=found.errors > 0)
    yield _tile(f"{_ms(found.p50_ms)} / {_ms(found.p99_ms)}", "ms, p50 / highest p99 of a step")
    yield _tile(f"{found.texts:,}", f"texts, {found.tokens:,} tokens")
    yield _tile(f"${found.dollars_a_million:,.2f}" if found.texts else "-", "a million texts")
    yield _tile(f"{found.cold_starts:,}", "cold starts")


def _tile(number: str, told: str, *, bad: bool = False) -> str:
    return f'<div class="tile{" bad" if bad else ""}"><b>{escape(number)}</b><span>{escape(told)}</span></div>'


def _figure(panel: Panel, readings: Readings) -> str:
    empty = not any(value and not math.isnan(value) for series in panel.series.values() for value in series)
    unit = f" <small>{escape(panel.unit)}</small>" if panel.unit else ""
    body = '<p class="none">none</p>' if empty else chart(panel, readings.span) + _legend(panel)
    return f"<figure><figcaption>{escape(panel.title)}{unit}</figcaption>{body}</figure>\n"


def _legend(panel: Panel) -> str:
    """Of what is counted the sum, of what is measured the last value."""
    items = []
    for number, (name, series) in enumerate(panel.series.items()):
        value = total(series) if panel.unit in COUNTED else _last(series)
        items.append(f'<li><i class="c{number}"></i>{escape(name)} <b>{short(value)}</b></li>')
    return f"<ul>{''.join(items)}</ul>"


def _last(series: Series) -> float:
    return next((value for value in reversed(series) if not math.isnan(value)), math.nan)


def _jobs(now: Now) -> Iterator[str]:
    if not now.jobs:
        return
    yield '<section><h2>Batch jobs</h2><div class="scroll"><table><tr><th>file<th>state<th class="n">rows<th class="n">'
    yield "refused</tr>"
    for job in now.jobs:
        rows = "-" if job.rows is None else f"{job.done:,} of {job.rows:,}"
        cells: Sequence[str] = (escape(job.input), escape(job.state))
        yield f'<tr><td>{cells[0]}<td>{cells[1]}<td class="n">{rows}<td class="n">{job.errors:,}</tr>'
    yield "</table></div></section>\n"


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
