"""``slipway cost``: what a million texts cost on Lambda and on GPUs, from what was measured and a table of prices."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from model_build.commands import cost_options as options
from model_build.commands.options import Json, answer
from slipway.prices import REGION, TABLE, Prices, read_prices

if TYPE_CHECKING:
    from model_build.reporting.cost_gpus import Speed
    from model_build.reporting.cost_report import CostReport
    from model_build.reporting.cost_work import Work

_WIDTH = 100  # of the tables where nobody's terminal says


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(cost)


def cost(  # noqa: PLR0913 - the options of a command are its arguments
    artifact: options.Measured = None,
    *,
    cloudwatch: options.CloudWatch = None,
    hours: options.Hours = 24,
    lengths: options.Lengths = "8,32,128",
    texts_per_request: options.Texts = 1,
    memory: options.Memory = options.MEMORIES,
    deployed_mb: options.DeployedMb = 1769,
    requests_per_second: options.Rates = options.RATES,
    gpu: options.Gpu = None,
    gpu_measured: options.GpuMeasured = None,
    utilisation: options.Utilisation = 0.6,
    wait_ms: options.WaitMs = None,
    cold_starts: options.ColdStarts = 0.01,
    init_ms: options.InitMs = 486.0,
    overhead_ms: options.OverheadMs = 0.36,
    log_bytes: options.LogBytes = 940,
    region: options.Region = None,
    prices: options.PriceFile = TABLE,
    plot: options.Plot = None,
    as_json: Json = False,
) -> None:
    """Price a million texts on Lambda, side by side by memory, and on GPUs, with the rate from which these are cheaper.

    Milliseconds are measured here with ARTIFACT, or come from CloudWatch. Everything that is assumed is printed.
    """
    if (artifact is None) == (cloudwatch is None):
        raise typer.BadParameter("give either the directory of an artifact, or --cloudwatch MODEL-STAGE")
    from model_build.reporting import cost_checks
    from model_build.reporting.cost_estimate import Assumptions
    from model_build.reporting.cost_report import CostReport

    running = {"memory_mb": deployed_mb, "cold_starts": cold_starts, "init_ms": init_ms, "log_bytes": log_bytes}
    assumed = Assumptions(**running, utilisation=utilisation, wait_ms=wait_ms)  # type: ignore[arg-type]
    cost_checks.check_assumed(assumed, overhead_ms=overhead_ms, hours=hours, texts_per_request=texts_per_request)
    cost_checks.check_plot(plot)
    memories = cost_checks.numbers("memory", memory, int, 128, 10_240)
    rates = cost_checks.numbers("requests-per-second", requests_per_second, float, 1e-6, 1e6)
    tokens = cost_checks.numbers("lengths", lengths, int, 1, 100_000)
    table = read_prices(prices, region or REGION)
    if artifact is not None:
        told, works = _here(artifact, tokens, texts_per_request, overhead_ms)
    else:
        told, works = _deployment(cloudwatch or "", hours, region, deployed_mb)
    speeds = _speeds(gpu or [], gpu_measured, works[len(works) // 2].tokens, table)
    _tell(CostReport(told, works, memories, table, assumed, speeds, rates), plot, as_json=as_json)


def _here(artifact: Path, tokens: list[int], texts: int, overhead_ms: float) -> tuple[str, list["Work"]]:
    from model_build.reporting.cost_work import ROUNDS, measure_here
    from slipway.artifact import read_manifest

    load = os.getloadavg()[0]
    with Console(stderr=True).status("measuring") as status:
        works = measure_here(artifact, tokens, texts=texts, overhead_ms=overhead_ms, progress=status.update)
    manifest = read_manifest(artifact)
    from model_build.evaluation.evaluate import cpu_name  # after measuring: it brings torch and its threads along

    found = ", ".join(f"{work.tokens} tokens {work.milliseconds:.2f} ms ({work.clock_ms:.2f})" for work in works)
    where = f"{cpu_name()}, {os.cpu_count()} cores, load {load:.1f}"
    return (
        f"{manifest.model} {manifest.version} ({manifest.serve}) on {where}: {found} a request, of the processor (on "
        f"the clock), one thread, medians of {ROUNDS} rounds; the handler adds {overhead_ms:g} ms"
    ), works


def _deployment(service: str, hours: int, region: str | None, memory_mb: int) -> tuple[str, list["Work"]]:
    from model_build.reporting.cost_cloudwatch import read_traffic

    found = read_traffic(service, hours=hours, region=region)
    work = found.work(memory_mb)
    return (
        f"{service} in CloudWatch, the last {hours} h, taken as {memory_mb:,} MB: {found.requests:,} requests of "
        f"{work.texts:.3g} texts of {work.tokens} tokens; a request takes {found.mean_ms:.2f} ms in the mean, "
        f"{found.p50_ms:.2f} ms at p50"
    ), [work]


def _speeds(given: list[str], path: Path | None, tokens: int, prices: Prices) -> list["Speed"]:
    """What the file has for texts of ``tokens``, and what was given, which counts more."""
    from model_build.reporting.cost_gpus import of_length, parse_speed, read_speeds

    of_file = of_length(read_speeds(path), tokens, path) if path else []
    found = [*of_file, *(parse_speed(each, tokens) for each in given)]
    for speed in found:
        prices.instance_hour(speed.instance)  # refused here, by its name
    return found


def _tell(report: "CostReport", plot: Path | None, *, as_json: bool) -> None:
    from model_build.reporting.cost_plot import plot_costs
    from model_build.reporting.cost_tables import cost_tables

    if plot:
        plot.write_bytes(plot_costs(report))
    if not as_json:
        console = Console()
        Console(width=None if console.is_terminal else _WIDTH, highlight=False).print(cost_tables(report))
    document = report.to_dict() | {"plot": str(plot) if plot else None}
    if as_json or plot:
        answer(as_json, document, f"\nplot: {plot}")
