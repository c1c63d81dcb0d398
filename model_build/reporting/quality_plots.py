"""Plots of a quality report (``Quality.to_dict()``). Each returns a figure that stands alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model_build.reporting.figures import (
    GRID,
    INK,
    MUTED,
    SERIES,
    STYLE,
    canvas,
    in_percent,
    legend_above,
    name_rows,
    note,
    note_beside,
    shorten,
)
from model_build.reporting.verdict import is_worse

Rows = Sequence[Mapping[str, Any]]
Numbers = npt.NDArray[Any]

MATRIX_LABELS = 30  # numbers in a larger matrix cannot be read
_BLUES = LinearSegmentedColormap.from_list("blues", ["#f4f8fb", "#0072b2"])


@rc_context(STYLE)
def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> Figure:
    """True labels down, predicted ones across, shaded by the share of the row; for at most ``MATRIX_LABELS``."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [shorten(label, 18) for label in labels]
    side, margin = 1.3 + 0.42 * max(len(labels), 3), 0.5 + 0.09 * max(map(len, names))  # inches
    slanted = len(labels) > 3
    figure, (axes,) = canvas(side + (margin * slanted), width=side + margin)
    axes.pcolormesh(shares, cmap=_BLUES, vmin=0, vmax=1, edgecolors="white", linewidth=1)
    axes.set_xticks(np.arange(len(labels)) + 0.5, names)
    axes.set_yticks(np.arange(len(labels)) + 0.5, names)
    if slanted:
        axes.tick_params(axis="x", rotation=50)
        for name in axes.get_xticklabels():
            name.set(ha="right", rotation_mode="anchor")
    axes.set(xlabel="predicted", ylabel="true")
    axes.grid(visible=False)
    axes.invert_yaxis()
    _write_counts(axes, counts, shares)
    return figure


def _write_counts(axes: Axes, counts: Numbers, shares: Numbers) -> None:
    """Not in a theme's colours: the cells below have the same ones in all."""
    size = max(5, 12 - len(counts) / 4)
    for (row, column), count in np.ndenumerate(counts):
        color = "#ffffff" if shares[row, column] > 0.9 else "#000000"
        if count:
            axes.text(column + 0.5, row + 0.5, str(count), ha="center", va="center", color=color, fontsize=size)


@rc_context(STYLE)
def confused_pairs(rows: Rows) -> Figure:
    """Of many labels, those that are most often taken for one another, and the texts it happens to."""
    figure, (axes,) = canvas(0.9 + 0.27 * max(len(rows), 2))
    axes.barh(range(len(rows)), [row["texts"] for row in rows], height=0.65, color=SERIES[1])
    pairs = [f"{shorten(row['given'], 20)} → {shorten(row['predicted'], 20)}" for row in rows]
    name_rows(axes, pairs, length=44)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("texts of the test split, true → predicted")
    return figure


@rc_context(STYLE)
def curves(by_label: Rows, micro: Mapping[str, Any]) -> Figure:
    """ROC and precision-recall of at most eight labels, and of all decisions together (micro average)."""
    figure, panels = canvas(3.8, panels=2)
    lines: list[tuple[Mapping[str, Any], dict[str, Any]]] = [
        (row, {"label": shorten(row["label"], 18), "color": color})
        for row, color in zip(by_label, SERIES, strict=False)
    ]
    lines.append((micro, {"label": "all (micro)", "color": INK, "linestyle": "--"}))
    for axes, key in zip(panels, ("roc", "pr"), strict=True):
        for row, style in lines:
            if row.get(key):
                axes.plot(*np.transpose(row[key]), linewidth=1.4, **style)
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
    panels[0].plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    panels[0].set(xlabel="false positive rate", ylabel="recall")
    panels[1].set(xlabel="recall", ylabel="precision")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, handlelength=1.6)
    return figure


@rc_context(STYLE)
def reliability(before: Mapping[str, Any], after: Mapping[str, Any]) -> Figure:
    """Accuracy against confidence, before and after the temperature; the dots' areas are texts."""
    figure, panels = canvas(3.5, panels=2)
    told = [b[key] for part in (before, after) for b in part["bins"] for key in ("confidence", "accuracy")]
    least = min([*told, 0.5]) - 0.04
    for axes, name, part, color in zip(panels, ("before", "after"), (before, after), SERIES[1::-1], strict=True):
        bins = [b for b in part["bins"] if b["texts"]]
        most = max((b["texts"] for b in bins), default=1)
        x, y = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
        axes.plot(x, y, color=color, linewidth=1.2)
        axes.scatter(x, y, s=[12 + 90 * b["texts"] / most for b in bins], color=color, zorder=3)
        axes.set_title(f"{name}: error {part['error'] or 0:.4f}", fontsize=10)
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(least, 1.03), ylim=(least, 1.03))
    return figure


@rc_context(STYLE)
def selective(points: Rows) -> Figure:
    """Accuracy of the answers that are kept, against the share that is kept, with some thresholds named."""
    figure, (axes,) = canvas(3.2)
    kept = sorted((p for p in points if p["coverage"] > 0), key=lambda p: p["coverage"])
    axes.plot([p["coverage"] for p in kept], [p["accuracy"] for p in kept], color=SERIES[0], linewidth=1.6)
    named = [min(kept, key=lambda p: abs(p["coverage"] - share)) for share in (0.5, 0.7, 0.8, 0.9, 1.0)] if kept else []
    for point in {p["threshold"]: p for p in named}.values():
        axes.plot(point["coverage"], point["accuracy"], "o", color=SERIES[0], markersize=5)
        note(axes, f"≥ {point['threshold']:.2f}", point["coverage"], point["accuracy"], corner=True)
    axes.margins(x=0.06, y=0.2)
    in_percent(axes.xaxis, axes.yaxis)
    axes.set(xlabel="texts that are answered (score at least the number at the dot)", ylabel="accuracy of the answers")
    return figure


@rc_context(STYLE)
def slices(rows: Rows, overall: float) -> Figure:
    """Accuracy of each part of the test split with its interval, against all of it."""
    figure, (axes,) = canvas(1.0 + 0.27 * max(len(rows), 2))
    for i, row in enumerate(rows):
        low, high = row.get("interval") or (row["accuracy"], row["accuracy"])
        color = SERIES[1] if is_worse(row, overall) else SERIES[0]
        axes.plot([low, high], [i, i], color=color, linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot(row["accuracy"], i, "o", color=color, markersize=6)
        note_beside(axes, f"{100 * row['accuracy']:.1f} %", i)
    name_rows(axes, [f"{row['column']}: {row['value']} ({row['texts']:,})" for row in rows], length=36)
    _against(axes, overall, "all")
    return figure


@rc_context(STYLE)
def robustness(rows: Rows, unchanged: float) -> Figure:
    """Accuracy after each change to the texts, against that of the texts as they are."""
    figure, (axes,) = canvas(1.0 + 0.3 * max(len(rows), 2))
    for i, row in enumerate(rows):
        axes.plot([unchanged, row["accuracy"]], [i, i], color=GRID, linewidth=2, zorder=1)
        axes.plot(row["accuracy"], i, "o", color=SERIES[0], markersize=6)
        note_beside(axes, f"{100 * (row['accuracy'] - unchanged):+.1f}", i)
    name_rows(axes, [row["change"] for row in rows], length=36)
    _against(axes, unchanged, "as they are")
    return figure


def _against(axes: Axes, overall: float, name: str) -> None:
    axes.axvline(
        overall, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0, label=f"{name}: {100 * overall:.1f} %"
    )
    axes.margins(x=0.08)
    in_percent(axes.xaxis)
    axes.set_xlabel("accuracy on the test split")
    legend_above(axes)
