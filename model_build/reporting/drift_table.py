"""A window of drift as a table for people, and all of them in a sentence."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Column, Table

from slipway.drift.bins import Bins, Counts, texts_in
from slipway.drift.comparing import FEWEST, PSI, SIGNIFICANT
from slipway.drift.windows import Window

TITLES = {"labels": "label mix", "confidence": "confidence", "tokens": "length, tokens", "unknown": "unknown tokens"}


def drift_table(window: Window, bins: Bins, baseline: Counts) -> Table:
    """A row a statistic: index, chance, verdict, and the bin whose share has moved most."""
    right = [Column(name, justify="right") for name in ("PSI", "by chance")]
    table = Table("statistic", *right, "", "moved most", box=None, title=_title(window), title_justify="left")
    for change in window.changes:
        name = change.statistic
        verdict = "[bold]drifted[/bold]" if change.drifted else "as it was"
        moved = _moved_most(window, bins, baseline, name)
        table.add_row(TITLES[name], f"{change.psi:.3f}", _chance(change.p), verdict, escape(moved))
    return table


def said(windows: Sequence[Window]) -> str:
    """What the windows say together."""
    drifted, tested = sum(bool(w.drifted) for w in windows), sum(bool(w.changes) for w in windows)
    if not windows[-1].changes:
        return f"{windows[-1].compared:,} texts in a day are too few to tell: {FEWEST} are needed."
    bounds = f"PSI of {PSI:g} or more, with a chance below {SIGNIFICANT:.1g}"
    return f"{drifted} of {tested} windows with enough texts have drifted: {bounds}."


def time_of(seconds: int) -> str:
    """In UTC, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _title(window: Window) -> str:
    back = f" and {window.hours_back} h before" if window.hours_back else ""
    return (
        f"{window.model} {window.version}, {time_of(window.start)} to {time_of(window.end)} UTC{back}: "
        f"{window.compared:,} texts"
    )


def _moved_most(window: Window, bins: Bins, baseline: Counts, name: str) -> str:
    """Of the window's own texts."""
    if not texts_in(window.counts):
        return ""
    shares = list(zip(shares_of(baseline[name]), shares_of(window.counts[name]), bins.names(name), strict=True))
    before, now, label = max(shares, key=lambda share: abs(share[1] - share[0]))
    return f"{label}: {100 * before:.0f} % to {100 * now:.0f} %"


def shares_of(counts: Sequence[int]) -> list[float]:
    """Of their sum."""
    whole = max(1, sum(counts))
    return [count / whole for count in counts]


def _chance(p: float) -> str:
    return f"{p:.2f}" if p >= 0.01 else f"{p:.0e}" if p >= 1e-99 else "< 1e-99"
