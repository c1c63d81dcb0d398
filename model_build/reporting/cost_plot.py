"""The plot of a cost report: a million texts by memory, and by the rate of requests beside GPUs."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from model_build.reporting.cost_compare import GpuCost
from model_build.reporting.cost_estimate import MILLION
from model_build.reporting.cost_report import CPUS, CostReport
from model_build.reporting.cost_tables import rate
from model_build.reporting.figures import INK, MUTED, SERIES, STYLE, canvas, to_png
from slipway.break_even import instances_needed

_POINTS = 400
_DASHES = (0, (4, 3))  # of what was not measured


def plot_costs(report: CostReport) -> bytes:
    """A PNG."""
    return to_png(costs_figure(report))


@rc_context(STYLE)
def costs_figure(report: CostReport) -> Figure:
    """Left: the bill for a million texts by memory size. Right: what answering alone costs by requests a second."""
    figure, (by_memory, by_rate) = canvas(3.9, width=9.4, panels=2)
    _draw_memories(by_memory, report)
    _draw_rates(by_rate, report)
    for axes in (by_memory, by_rate):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:,.12g}"))
        axes.tick_params(which="minor", length=0)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, handlelength=1.6, fontsize=8)
    return figure


def _draw_memories(axes: Axes, report: CostReport) -> None:
    for index, work in enumerate(report.works):
        color = SERIES[index % len(SERIES)]
        for cpu, style in zip(CPUS, ("-", ":"), strict=True):
            totals = [cost.total for cost in report.on_lambda(work, cpu)]
            label = f"{work.tokens} tokens" if cpu == CPUS[0] else None
            axes.plot(report.memories, totals, style, color=color, marker="o", markersize=3.5, label=label)
    axes.plot([], [], ":", color=MUTED, label="arm64")
    axes.set_xticks(report.memories, [f"{memory:,}" for memory in report.memories], rotation=30)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("MB of memory")
    axes.set_ylabel("a million texts, all in")


def _draw_rates(axes: Axes, report: CostReport) -> None:
    """Only what differs between the two: the function's time, waiting included, and the GPU's hours."""
    gpus = report.on_gpus()
    rates = _rates(gpus)
    work, saved = report.compared, report.deployed().compute
    axes.plot(rates, [saved] * len(rates), color=INK, linewidth=1.6, label=f"Lambda, {report.assumed.memory_mb:,} MB")
    for index, gpu in enumerate(gpus):
        color = SERIES[index % len(SERIES)]
        costs = [_of_million(gpu, saved, rps, work.texts) for rps in rates]
        style = _DASHES if gpu.capacity_rps is None else "-"
        axes.plot(rates, costs, color=color, linestyle=style, linewidth=1.3, label=gpu.instance)
        if math.isfinite(gpu.break_even_rps):
            axes.plot([gpu.break_even_rps], [saved], "o", color=color, markersize=5)
    best = min(gpus, key=lambda gpu: gpu.break_even_rps, default=None)
    if best and math.isfinite(best.break_even_rps):
        _note_below(axes, f"{rate(best.break_even_rps)}/s", best.break_even_rps, saved)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"requests a second of {work.tokens} tokens" + ("; dashed: one, not measured" * _unmeasured(gpus)))
    axes.set_ylabel("a million texts, answering alone")


def _note_below(axes: Axes, text: str, x: float, y: float) -> None:
    """Below and to the left of a point, where curves that fall leave room."""
    axes.annotate(text, (x, y), (-4, -4), textcoords="offset points", ha="right", va="top", fontsize=9)


def _of_million(gpu: GpuCost, lambda_compute: float, rps: float, texts: float) -> float:
    """US dollars for the hours of as many instances as ``rps`` needs, and for what the function still takes."""
    count = 1 if gpu.capacity_rps is None else instances_needed(rps, gpu.capacity_rps)
    hours = count * gpu.hour / 3600 / (rps * texts) * MILLION
    return hours + max(0.0, lambda_compute - gpu.saved_per_request * MILLION / texts)


def _rates(gpus: Sequence[GpuCost]) -> list[float]:
    """From a thirtieth of the least break-even rate to ten times the highest, by magnitudes."""
    finite = [gpu.break_even_rps for gpu in gpus if math.isfinite(gpu.break_even_rps)] or [10.0]
    return [float(rps) for rps in np.geomspace(min(finite) / 30, max(finite) * 10, _POINTS)]


def _unmeasured(gpus: Sequence[GpuCost]) -> bool:
    return any(gpu.capacity_rps is None for gpu in gpus)
