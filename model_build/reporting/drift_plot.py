"""The plot of windows of drift: the indices over time, and what has moved most in the last window."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from model_build.reporting.drift_table import TITLES, shares_of
from model_build.reporting.figures import INK, MUTED, SERIES, STYLE, canvas, in_percent, name_rows, to_png
from slipway.drift.bins import STATISTICS, Bins, Counts
from slipway.drift.comparing import PSI
from slipway.drift.windows import Window

_MOST_BINS = 12
_HEIGHT = 0.36  # of a bar, of a row
_TICKS = (0, 0.1, PSI, 0.5, 1, 2, 5, 10)
_ROOM = timedelta(minutes=30)  # beside the first and the last window, which may be one


def plot_windows(windows: Sequence[Window], bins: Bins, baseline: Counts) -> bytes:
    """A PNG."""
    return to_png(drift_figure(windows, bins, baseline))


@rc_context(STYLE)
def drift_figure(windows: Sequence[Window], bins: Bins, baseline: Counts) -> Figure:
    """Left: each index by time, with its bound. Right: the statistic with the highest index, beside the baseline."""
    figure, (over_time, last) = canvas(3.9, width=9.4, panels=2)
    _draw_indices(over_time, windows)
    _draw_shares(last, windows[-1], bins, baseline)
    return figure


def _draw_indices(axes: Axes, windows: Sequence[Window]) -> None:
    tested = [window for window in windows if window.changes]
    times = [datetime.fromtimestamp(window.end, UTC) for window in tested]
    if times:
        axes.set_xlim(min(times) - _ROOM, max(times) + _ROOM)  # type: ignore[arg-type]  # dates
    for index, name in enumerate(STATISTICS):
        indices = [window.changes[index].psi for window in tested]
        axes.plot(times, indices, color=SERIES[index], marker="o", markersize=3.5, linewidth=1.2, label=TITLES[name])  # type: ignore[arg-type]  # dates
    axes.axhline(PSI, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yscale("symlog", linthresh=PSI)
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.tick_params(which="minor", length=0)
    axes.set_ylim(0, max([2 * PSI, *(1.2 * change.psi for window in tested for change in window.changes)]))
    axes.set_ylabel("PSI; dashed: drift, if not by chance")
    if tested:
        locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    axes.set_xlabel("end of the window, UTC")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=1.4, fontsize=8)


def _draw_shares(axes: Axes, window: Window, bins: Bins, baseline: Counts) -> None:
    name = max(window.changes, key=lambda change: change.psi).statistic if window.changes else STATISTICS[0]
    names, before, now = bins.names(name), shares_of(baseline[name]), shares_of(window.counts[name])
    most = sorted(sorted(range(len(names)), key=lambda bin_: -(before[bin_] + now[bin_]))[:_MOST_BINS])
    for shift, color, shares, label in ((-1, MUTED, before, "baseline"), (1, SERIES[1], now, "last window")):
        rows = [row + shift * _HEIGHT / 2 for row in range(len(most))]
        axes.barh(rows, [shares[bin_] for bin_ in most], _HEIGHT, color=color, label=label)
    name_rows(axes, [names[bin_] for bin_ in most])
    in_percent(axes.xaxis)
    axes.set_xlabel(f"{TITLES[name]}: share of the texts")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=1.2, fontsize=8)
