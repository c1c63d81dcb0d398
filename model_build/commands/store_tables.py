"""What the model store holds, as tables for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from slipway.differences import Change, Difference
from slipway.releases import Live


def history_table(entries: Sequence[Live]) -> Table:
    """Changes, newest first as ``entries`` are; the first column says what still holds."""
    table = Table("", "at (UTC)", Column("version", no_wrap=True, min_width=29), "action", "by", "why", box=None)
    holding = {"live", *_candidates(entries[0])}
    for entry in entries:
        role = "live" if entry.action in ("promote", "rollback") else entry.action
        mark = role if role in holding else ""
        holding.discard(role)
        version, action = _told(entry)
        table.add_row(*map(escape, [mark, entry.at[:19].replace("T", " "), version, action, entry.by, entry.why]))
    return table


def difference_table(difference: Difference) -> Table:
    """Two versions in the columns A and B, and how far they are apart; metrics of the variants that serve."""
    table = Table("", *(Column(name, justify="right") for name in ("A", "B", "B - A")), box=None)
    for name, a, b, note in _rows(difference):
        table.add_row(*map(escape, (name, a, b, note)))
    return table


def percent(part: float) -> str:
    """A part of the requests as the command line takes it: ``10%``."""
    return f"{100 * part:.4g}%"


def _told(entry: Live) -> tuple[str, str]:
    """The version that an entry is about, and what became of it."""
    candidate = _candidates(entry).get(entry.action)
    return (candidate[0], f"{entry.action} {percent(candidate[1])}") if candidate else (entry.version, entry.action)


def _candidates(now: Live) -> dict[str, tuple[str, float]]:
    """Version and part of the requests, by role."""
    canary = {"canary": (now.canary.version, now.canary.weight)} if now.canary else {}
    return canary | ({"shadow": (now.shadow.version, now.shadow.share)} if now.shadow else {})


def _rows(difference: Difference) -> Iterator[tuple[str, str, str, str]]:
    yield from (_row(name, change) for name, change in difference.settings.items())
    labels = [
        *(f"+{label}" for label in difference.labels_added),
        *(f"-{label}" for label in difference.labels_removed),
    ]
    yield "labels", "", "", " ".join(labels) or "the same"
    yield "data", "", "", _same(difference.same_data)
    yield "configuration and code", "", "", _same(difference.same_build)
    yield from (_row(f"training {name}", change) for name, change in difference.training.items())
    served = difference.settings["serve"]
    for variant in dict.fromkeys((served.a, served.b)):
        for split, variants in difference.metrics.items():
            yield from (_row(f"{split} {variant} {n}", change) for n, change in variants.get(variant, {}).items())
        yield from (_row(f"{variant} {n}", change) for n, change in difference.speed.get(variant, {}).items())
    yield from (_row(f"{name}, bytes", change) for name, change in difference.sizes.items() if change.difference != 0)


def _row(name: str, change: Change) -> tuple[str, str, str, str]:
    note = "differs" if change.difference is None and change.a != change.b else ""
    if change.difference:
        note = f"{change.difference:+,}" if isinstance(change.difference, int) else f"{change.difference:+.4g}"
    return name.replace("_", " "), _shown(change.a), _shown(change.b), note


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _same(equal: bool) -> str:
    return "the same" if equal else "differs"
