"""``docs/benchmarks.md`` and its plot, from the results that were kept."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.tables import Result, milliseconds
from model_build.reporting.figures import SERIES, STYLE, canvas, legend_above, name_rows, to_png, to_svg

PLOT = "benchmarks"
_PLOTTED = "latency"
_OURS = "slipway"
_COLORS = {_OURS: SERIES[0], "peers": SERIES[4]}
_INTRODUCTION = """# Benchmarks

Written by `make bench` (`python -m benchmarks --report`); edit nothing here. Rows of a table are measured in turns in
one run, so that what else the machine does meets all of them; every number is a median over rounds. Tables of different
dates or machines are not to be compared. How a topic is measured is the module of its name in `benchmarks/`.
"""


def write_report(results: Sequence[Result], directory: Path) -> Path:
    """The document, with the plot beside it if latencies were measured; its path."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = [_INTRODUCTION]
    plotted = next((result for result in results if result.topic == _PLOTTED and result.numbers), None)
    if plotted:
        figure = plot(plotted.numbers)
        (directory / f"{PLOT}.png").write_bytes(to_png(figure))
        (directory / f"{PLOT}.svg").write_text(_standalone(to_svg(figure)))
        parts.append(f"![Milliseconds a text, by what answers it]({PLOT}.svg)\n")
    parts += [_section(result) for result in results]
    path = directory / f"{PLOT}.md"
    path.write_text("\n".join(parts))
    return path


def _section(result: Result) -> str:
    warning = ["**A quick run: too few repetitions to quote.**\n"] if result.quick else []
    told = f"`{result.command}`, {result.date}, {result.seconds:.0f} s, on {result.machine}.\n"
    return "\n".join([f"## {result.topic}\n", told, *warning, *(table.markdown() for table in result.tables)])


@rc_context(STYLE)
def plot(seconds: Mapping[str, float]) -> Figure:
    """Bars of milliseconds by row on a logarithmic axis, the fastest on top; ours in another colour."""
    names = sorted(seconds, key=seconds.__getitem__)
    figure, (axes,) = canvas(0.9 + 0.36 * len(names), width=7.2)
    values = [seconds[name] * 1e3 for name in names]
    lowest = 10 ** math.floor(math.log10(min(values)) - 0.05)
    for label, color in _COLORS.items():
        rows = [row for row, name in enumerate(names) if (label == _OURS) == name.startswith(_OURS)]
        widths = [values[row] - lowest for row in rows]
        axes.barh(rows, widths, left=lowest, color=color, height=0.68, label=label)
    for row, value in enumerate(values):
        axes.annotate(f"{milliseconds(value / 1e3)}", (value, row), (4, 0), textcoords="offset points", va="center")
    axes.set_xscale("log")
    axes.set_xlim(lowest, max(values) * 1.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    name_rows(axes, names, length=48)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("milliseconds a sentence, p50, one thread")
    legend_above(axes)
    return figure


def _standalone(svg: str) -> str:
    """An image of its own needs a background: on a dark page its ink would be invisible."""
    head, _, rest = svg.partition(">")
    head = head if "xmlns=" in head else f'{head} xmlns="http://www.w3.org/2000/svg"'
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}'
