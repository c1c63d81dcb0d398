"""What ``slipway status`` prints for people."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model_build.operating.now import Now

_MOST = 6  # of labels, versions and kinds


def print_now(console: Console, now: Now, html: Path | None) -> None:
    """A line a fact; alarms first, since they are why somebody looks."""
    for alarm in now.alarms:
        console.print(f"[bold red]ALARM[/] {escape(alarm.name)} since {alarm.since}\n  {escape(alarm.says)}")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, told in _rows(now):
        table.add_row(f"[dim]{name}[/]", told)
    if html:
        table.add_row("[dim]page[/]", escape(str(html)))
    console.print(table)


def _rows(now: Now) -> Iterator[tuple[str, str]]:
    found = now.figures
    yield "model", f"{escape(now.model)} in {escape(now.stage)}, the last {now.minutes:,} min by {now.source}"
    for told in now.serving() or ["nothing is live"]:
        yield "serves", escape(told)
    yield (
        "requests",
        f"{found.requests:,} ({found.requests_per_second:.3g}/s), {found.texts:,} texts, {found.tokens:,} tokens",
    )
    failed = f"{found.errors:,} 5xx ({100 * found.error_part:.3g}%) {_few(found.errors_by_kind)}"
    yield "errors", f"[bold red]{failed}[/]" if found.errors else "no 5xx"
    if found.refusals:
        yield "refused", f"{found.refusals:,} 4xx {_few(found.refusals_by_kind)}"
    if found.texts:
        yield "latency", f"p50 {_ms(found.p50_ms)}, highest p99 {_ms(found.p99_ms)} ms"
        yield "cost", f"${found.dollars_a_million:,.2f} a million texts, at list prices"
        yield "labels", _few(found.labels, of=found.texts)
        yield "versions", _few(found.versions)
    yield "starts", f"{found.cold_starts:,} cold"
    if found.gpu_texts or found.fallbacks:
        yield "GPU", f"{found.gpu_texts:,} texts; fell back {_few(found.fallbacks) or 'never'}"
    for job in now.jobs[:_MOST]:
        rows = "" if job.rows is None else f", {job.done:,} of {job.rows:,} rows, {job.errors:,} refused"
        yield "job", f"{escape(job.input)}: {job.state}{rows}"
    if not now.alarms:
        yield "alarms", "none is on"


def _few(counts: Mapping[str, int], *, of: int = 0) -> str:
    told = [f"{escape(name)} {100 * n / of:.1f}%" if of else f"{escape(name)} {n:,}" for name, n in counts.items()]
    more = f", {len(told) - _MOST} more" if len(told) > _MOST else ""
    return ", ".join(told[:_MOST]) + more


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.1f}"
