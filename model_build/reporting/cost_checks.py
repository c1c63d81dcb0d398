"""Numbers that a cost report is asked for: read from the command line, and refused in one line by their option."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_build.reporting.cost_estimate import Assumptions
from slipway.prices import PriceError


def numbers(option: str, given: str, kind: Callable[[str], Any], low: float, high: float) -> list[Any]:
    """Numbers between commas, each once, the least first. Raises PriceError naming the one that is none."""
    found = set()
    for part in given.split(","):
        try:
            found.add(within(option, kind(part.strip()), low, high))
        except ValueError as error:
            raise PriceError(f"--{option} {part.strip()!r} is no number.", remedy="Put commas between them.") from error
    return sorted(found)


def check_assumed(assumed: Assumptions, **others: float) -> None:
    """Raises PriceError naming the first option that is out of its range, NaN among them."""
    within("deployed-mb", assumed.memory_mb, 128, 10_240)
    within("utilisation", assumed.utilisation, 0.01, 1)
    within("cold-starts", assumed.cold_starts, 0, 1)
    within("init-ms", assumed.init_ms, 0, 60_000)
    within("log-bytes", assumed.log_bytes, 0, 1_000_000)
    within("wait-ms", assumed.wait_ms or 0.0, 0, 60_000)
    within("overhead-ms", others["overhead_ms"], 0, 10_000)
    within("hours", others["hours"], 1, 24 * 60)
    within("texts-per-request", others["texts_per_request"], 1, 1_000)


def within(option: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high or math.isnan(value):
        raise PriceError(f"--{option} is {value:g}.", remedy=f"It has to be from {low:g} to {high:,.10g}.")
    return value


def check_plot(plot: Path | None) -> None:
    """Before anything is measured. Raises PriceError if it cannot be written there."""
    if plot and (plot.suffix.lower() != ".png" or not plot.parent.is_dir()):
        raise PriceError(f"--plot {plot} cannot be written.", remedy="Name a .png in a directory that is there.")
