"""Plots of the data and the training. Each returns a figure that stands alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from model_build.reporting.figures import (
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

Rows = Sequence[Mapping[str, Any]]

_MOST_LABELS = 30
_MARKED_CHECKS = 40


@rc_context(STYLE)
def class_balance(balance: Mapping[str, Mapping[str, int]]) -> Figure:
    """Share of each label in each split; beyond 30 labels, the most frequent ones."""
    first = next(iter(balance.values()))
    labels = sorted(first, key=lambda label: -first[label])[:_MOST_LABELS]
    figure, (axes,) = canvas(1.0 + 0.3 * max(len(labels), 3))
    height = 0.8 / len(balance)
    for i, (split, counts) in enumerate(balance.items()):
        total = sum(counts.values()) or 1
        shares = [counts.get(label, 0) / total for label in labels]
        rows = np.arange(len(labels)) - 0.4 + height * (i + 0.5)
        axes.barh(rows, shares, height * 0.9, color=SERIES[i % len(SERIES)], label=f"{shorten(split)} ({total:,})")
    name_rows(axes, labels)
    in_percent(axes.xaxis)
    hidden = f", the {len(labels)} most frequent of {len(first)} labels" if len(first) > len(labels) else ""
    axes.set_xlabel(f"share of the split's labels{hidden}")
    legend_above(axes)
    return figure


@rc_context(STYLE)
def lengths(deciles: Sequence[float]) -> Figure:
    """Characters of a text at each decile, from the shortest text to the longest."""
    figure, (axes,) = canvas(2.8)
    positions = np.linspace(0, 100, len(deciles))
    axes.margins(y=0.15)
    axes.plot(positions, deciles, color=SERIES[0], marker="o", markersize=4)
    if min(deciles) > 0 and max(deciles) > 20 * deciles[len(deciles) // 2]:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for i in (0, len(deciles) // 2, len(deciles) - 1):
        note(axes, f"{deciles[i]:,.0f}", positions[i], deciles[i])
    axes.set_xlabel("% of the texts are at most this long")
    axes.set_ylabel("characters")
    return figure


@rc_context(STYLE)
def training_curve(history: Rows) -> Figure:
    """Loss, and the score on dev, by epoch; the best check is marked."""
    figure, (left, right) = canvas(2.9, panels=2)
    for axes, key, title, color in (
        (left, "loss", "training loss", SERIES[0]),
        (right, "dev", "score on dev", SERIES[1]),
    ):
        known = [row for row in history if row.get(key) is not None]
        marker = "o" if len(known) <= _MARKED_CHECKS else ""
        axes.plot([r["epoch"] for r in known], [r[key] for r in known], color=color, marker=marker, markersize=4)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.margins(x=0.12, y=0.2)
    checks = [row for row in history if row.get("dev") is not None]
    if checks:
        best = max(checks, key=lambda row: row["dev"])
        note(right, f"{best['dev']:.4f}", best["epoch"], best["dev"])
    return figure


@rc_context(STYLE)
def comparison(rows: Rows) -> Figure:
    """Accuracy with its interval beside that of the baselines; the last row is the model."""
    figure, (axes,) = canvas(0.8 + 0.34 * len(rows))
    for i, row in enumerate(rows):
        color = SERIES[0] if i == len(rows) - 1 else MUTED
        low, high = row.get("interval") or (row["accuracy"], row["accuracy"])
        axes.plot([low, high], [i, i], color=color, linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot(row["accuracy"], i, "o", color=color, markersize=7)
        note_beside(axes, f"{100 * row['accuracy']:.1f} %", i)
    name_rows(axes, [row["name"] for row in rows], length=36)
    axes.margins(x=0.06)
    in_percent(axes.xaxis)
    axes.set_xlabel("accuracy on the test split, with its 95 % interval")
    return figure
