"""A cost report as tables for people."""

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from model_build.reporting.cost import dollars
from model_build.reporting.cost_compare import GpuCost
from model_build.reporting.cost_day import INSTANCE
from model_build.reporting.cost_report import CPUS, CostReport

_CPU_NAMES = {"x86_64": "x86-64", "arm64": "arm64"}
_NOT_MEASURED = "not measured"

Titled = tuple[str, Table]


def cost_tables(report: CostReport) -> RenderableType:
    """Everything, from what was measured to what was assumed."""
    makers = (_lambda_table, _parts_table, _gpu_table, _months_table, _days_table, _waits_table)
    tables = [maker(report) for maker in makers]
    titled = (part for title, table in tables for part in (Text(title, style="bold"), table, ""))
    return Group(Text(report.measured), "", *titled, *(Text(f"- {line}", style="dim") for line in report.assumptions()))


def rate(requests: float | None) -> str:
    """Requests a second.

    >>> rate(0.523), rate(1234.5), rate(float("inf"))
    ('0.52', '1,234', 'never')
    """
    if requests is None:
        return _NOT_MEASURED
    if math.isinf(requests):
        return "never"
    return f"{requests:,.0f}" if requests >= 10 else f"{requests:.2g}"


def _lambda_table(report: CostReport) -> Titled:
    table = _table("", *(f"{mb:,} MB" for mb in report.memories))
    for work in report.works:
        costs = report.on_lambda(work)
        table.add_row(f"{work.tokens} tokens, ms a request", *(f"{cost.request_ms:.2f}" for cost in costs))
        for cpu in CPUS:
            totals = (dollars(cost.total) for cost in report.on_lambda(work, cpu))
            table.add_row(f"{work.tokens} tokens, {_CPU_NAMES[cpu]}", *totals)
    return f"Lambda: $ a million texts, {report.compared.texts:.3g} a request", table


def _parts_table(report: CostReport) -> Titled:
    table = _table("", "compute", "cold starts", "requests", "API Gateway", "our logs", "total")
    for cpu in CPUS:
        cost = report.deployed(cpu)
        amounts = (cost.compute, cost.cold_starts, cost.requests, cost.gateway, cost.logs, cost.total)
        table.add_row(_CPU_NAMES[cpu], *map(dollars, amounts))
    return f"What that is: {report.compared.tokens} tokens, {report.assumed.memory_mb:,} MB", table


def _gpu_table(report: CostReport) -> Titled:
    heads = ("$ an hour", "texts/s", "$ a million", "even at requests/s", "heavy from", "until", "must answer texts/s")
    table = _table("", *heads)
    for gpu in report.on_gpus():
        table.add_row(f"{gpu.instance} {gpu.gpu.removeprefix('NVIDIA ')}", *_gpu_cells(gpu))
    return f"GPUs behind the router, against Lambda: {report.compared.tokens} tokens", table


def _gpu_cells(gpu: GpuCost) -> Iterator[str]:
    yield f"{gpu.hour:.4g}"
    yield rate(gpu.texts_per_second)
    yield _NOT_MEASURED if gpu.million_texts is None else dollars(gpu.million_texts)
    yield from map(rate, (gpu.break_even_rps, gpu.enter_rps, gpu.leave_rps, gpu.must_answer))


def _months_table(report: CostReport) -> Titled:
    rows = report.months()
    names = [name for name in rows[0] if name != "requests_per_second"]
    shown = (name.replace("lambda_x86_64", "Lambda x86-64").replace("lambda_arm64", "Lambda arm64") for name in names)
    table = _table("requests/s", *shown)
    for row in rows:
        table.add_row(f"{row['requests_per_second']:g}", *(dollars(row[name]) for name in names))
    return f"$ a month: {report.compared.tokens} tokens, all requests answered by one kind", table


def _days_table(report: CostReport) -> Titled:
    table = _table("requests/s", "Slipway", INSTANCE, "Serverless Inference", "Comprehend custom")
    for day in report.days():
        months = (day.lambda_month, day.hosted_month, day.serverless_month, day.comprehend_month)
        table.add_row(f"{day.rate:g}", *map(dollars, months))
    return f"$ a month of simulated days, by list prices: {report.compared.tokens} tokens", table


def _waits_table(report: CostReport) -> Titled:
    heads = ("cold", "p99 ms", "p99.9 ms", f"{INSTANCE}, most", "p99 ms", "failed", "Comprehend units")
    table = _table("requests/s", *heads)
    for day in report.days():
        here = (f"{100 * day.lambda_cold:.3f} %", f"{day.lambda_p99_ms:.1f}", f"{day.lambda_p999_ms:.1f}")
        there = (f"{day.hosted_most}", f"{day.hosted_p99_ms:,.1f}", f"{100 * day.hosted_failed:.1f} %")
        table.add_row(f"{day.rate:g}", *here, *there, f"{day.comprehend_units:,}")
    return "What callers of such a day wait for", table


def _table(first: str, *others: str) -> Table:
    columns = [Column(first, no_wrap=True), *(Column(name, justify="right") for name in others)]
    return Table(*columns, box=None, padding=(0, 1, 0, 0))
