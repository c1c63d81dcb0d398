"""The plot of a study: dev score by trial with the best so far, and beside it the score over each searched key."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from model_build.reporting.figures import INK, MUTED, SERIES, STYLE, in_percent, legend_above, shorten, to_png

Trials = Sequence[Mapping[str, Any]]

_COLUMNS = 3
_PANELS = 9  # more keys than that are left out, the least important ones
_CHOICES = 5  # so few numbers are ticks themselves
_LOG_RATIO = 20  # between the largest and the smallest value; from there on, magnitudes are what matters


def plot_trials(trials: Trials, importance: Mapping[str, float]) -> bytes:
    """A PNG. ``trials`` are as ``study.describe_trials`` gives them."""
    return to_png(trials_figure(trials, importance))


@rc_context(STYLE)
def trials_figure(trials: Trials, importance: Mapping[str, float]) -> Figure:
    """The history on top; below it a panel for each key, the most important first."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial["values"]))
    keys = sorted(keys, key=lambda key: -importance.get(key, 0))[:_PANELS]
    rows = -(-len(keys) // _COLUMNS)
    figure = Figure(figsize=(7.2, 2.9 + 2.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + rows, _COLUMNS, height_ratios=[2.9, *[2.1] * rows])
    known = [trial for trial in trials if trial["score"] is not None]
    _draw_history(figure.add_subplot(grid[0, :]), known)
    for i, key in enumerate(keys):
        axes = figure.add_subplot(grid[1 + i // _COLUMNS, i % _COLUMNS])
        _draw_key(axes, key, [trial for trial in known if key in trial["values"]])
        share = f", importance {importance[key]:.0%}" if key in importance else ""
        axes.set_xlabel(shorten(key + share, 40), fontsize=8)
        axes.tick_params(labelsize=8, labelleft=i % _COLUMNS == 0)
    return figure


def _draw_history(axes: Axes, trials: Trials) -> None:
    _scatter(axes, trials, [trial["number"] for trial in trials])
    complete = [trial for trial in trials if trial["state"] == "complete"]
    if complete:
        best = np.maximum.accumulate([trial["score"] for trial in complete])
        axes.step([t["number"] for t in complete], best, where="post", color=INK, linewidth=1, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel("score on dev")
    legend_above(axes)


def _draw_key(axes: Axes, key: str, trials: Trials) -> None:
    values = [trial["values"][key] for trial in trials]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        _scatter(axes, trials, values)
        if min(values, default=0) > 0 and max(values) > _LOG_RATIO * min(values):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_minor_formatter(NullFormatter())
        elif len(set(values)) <= _CHOICES:
            axes.set_xticks(sorted(set(values)))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    names = sorted({str(value) for value in values})
    _scatter(axes, trials, [names.index(str(value)) for value in values])
    axes.set_xticks(range(len(names)), [shorten(name, 12) for name in names])
    axes.set_xlim(-0.5, len(names) - 0.5)


def _scatter(axes: Axes, trials: Trials, places: Sequence[float]) -> None:
    """Trials that ended as dots, pruned ones as crosses, the best one ringed."""
    for state, marker, color in (("complete", "o", SERIES[0]), ("pruned", "x", SERIES[1])):
        chosen = [i for i, trial in enumerate(trials) if trial["state"] == state]
        if chosen:
            scores = [trials[i]["score"] for i in chosen]
            axes.scatter([places[i] for i in chosen], scores, s=26, marker=marker, color=color, alpha=0.8, label=state)
    complete = [(t["score"], -i) for i, t in enumerate(trials) if t["state"] == "complete"]
    if complete:
        score, i = max(complete)
        axes.scatter([places[-i]], [score], s=110, facecolors="none", edgecolors=INK, linewidths=1.4)
    in_percent(axes.yaxis)
    axes.margins(x=0.08, y=0.15)
    axes.grid(color=MUTED, alpha=0.15)
