"""The frontier: what accuracy costs in milliseconds and megabytes, and which point was chosen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from model_build.reporting.figures import INK, MUTED, SERIES, STYLE, canvas, in_percent, shorten

Point = Mapping[str, Any]

_LARGEST = 900  # points², of the bubble with the most megabytes
_SMALLEST = 25
_NAMED_POINTS = 12  # more names cover each other
_LONGEST_NAME = 40


@rc_context(STYLE)
def frontier(points: Sequence[Point], least_accuracy: float | None = None) -> Figure:
    """Dev accuracy against milliseconds a text; a bubble's area is megabytes, its colour the precision.

    The line joins what nothing else beats in both. The chosen point is ringed; what the constraint excludes is hollow.
    """
    figure, (axes,) = canvas(4.6, width=7.2)
    precisions = list(dict.fromkeys(point["precision"] for point in points))
    colors = {name: SERIES[i % len(SERIES)] for i, name in enumerate(precisions)}
    largest = max(point["megabytes"] for point in points) or 1
    best = pareto(points)
    axes.plot([p["ms"] for p in best], [p["dev_accuracy"] for p in best], color=MUTED, linewidth=1, zorder=1)
    for point in sorted(points, key=lambda p: -p["megabytes"]):
        area = max(_SMALLEST, _LARGEST * point["megabytes"] / largest)
        _draw(axes, point, area, colors[point["precision"]])
    for point in points:
        if point["chosen"] or point in best or len(points) <= _NAMED_POINTS:
            _name(axes, point, _LARGEST * point["megabytes"] / largest, above=point in best)
    _scale(axes, [point["ms"] for point in points])
    _mark_bound(axes, least_accuracy)
    _explain(axes, colors)
    axes.set_xlabel(f"milliseconds a text, alone, one thread (largest bubble: {largest:g} MB)")
    _keep_inside(figure, axes)
    return figure


def pareto(points: Sequence[Point]) -> list[Point]:
    """The points than which no other is both faster and more accurate, from the fastest on.

    >>> [p["ms"] for p in pareto([{"ms": m, "dev_accuracy": a} for m, a in [(1, 0.8), (2, 0.7), (3, 0.9)]])]
    [1, 3]
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p["ms"], -p["dev_accuracy"])):
        if not best or point["dev_accuracy"] > best[-1]["dev_accuracy"]:
            best.append(point)
    return best


def _draw(axes: Axes, point: Point, area: float, color: str) -> None:
    place = ([point["ms"]], [point["dev_accuracy"]])
    filled = color if point["allowed"] else "none"
    axes.scatter(*place, s=area, facecolors=filled, edgecolors=color, linewidths=1.2, alpha=0.75, zorder=2)
    if point["chosen"]:
        ring = (math.sqrt(area) + 9) ** 2
        axes.scatter(*place, s=ring, facecolors="none", edgecolors=INK, linewidths=1.8, zorder=3)


def _name(axes: Axes, point: Point, area: float, *, above: bool) -> None:
    """Names of the frontier stand above it and the others below, so that few of them meet."""
    away = math.sqrt(area) / 2 + (5 if point["chosen"] else 1)
    place = (point["ms"], point["dev_accuracy"])
    weight = "bold" if point["chosen"] else "normal"
    offset, vertical = ((0, away), "bottom") if above else ((0, -away), "top")
    style: dict[str, Any] = {"ha": "center", "va": vertical, "fontsize": 8, "fontweight": weight, "zorder": 4}
    axes.annotate(shorten(point["recipe"], _LONGEST_NAME), place, offset, textcoords="offset points", **style)


def _keep_inside(figure: Figure, axes: Axes) -> None:
    """Move names that would cover the ticks of the axis beside them, or leave the figure."""
    figure.draw_without_rendering()  # places everything
    for name in axes.texts:
        if isinstance(name, Annotation):
            extent = name.get_window_extent()
            pixels = max(axes.bbox.x0 - extent.x0, 0) + min(axes.bbox.x1 - extent.x1, 0)
            across, up = name.xyann
            name.xyann = (across + pixels * 72 / figure.dpi, up)  # in points


def _scale(axes: Axes, milliseconds: Sequence[float]) -> None:
    """Milliseconds by doublings, so that halving the time is the same step everywhere."""
    if min(milliseconds) > 0 and max(milliseconds) > 3 * min(milliseconds):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(LogLocator(base=2))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    in_percent(axes.yaxis)
    axes.set_ylabel("accuracy on dev")
    axes.margins(x=0.16, y=0.2)


def _mark_bound(axes: Axes, least_accuracy: float | None) -> None:
    if least_accuracy is None:
        return
    axes.axhline(least_accuracy, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    place = axes.get_yaxis_transform()
    axes.text(0.995, least_accuracy, "allowed from here up", transform=place, ha="right", va="bottom", fontsize=8)


def _explain(axes: Axes, colors: Mapping[str, str]) -> None:
    entries = [Line2D([], [], marker="o", linestyle="", color=color, label=name) for name, color in colors.items()]
    entries.append(Line2D([], [], marker="o", linestyle="", markerfacecolor="none", color=MUTED, label="excluded"))
    axes.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, handletextpad=0.2, columnspacing=1.2)
