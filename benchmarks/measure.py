"""Rows that take turns, so that what the machine does meanwhile meets all of them alike; medians over the rounds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np


class Skipped(Exception):
    """A row that cannot be measured here, with the reason in one line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds that one call took: on the clock, and of the processor, which neighbours on the machine disturb less."""

    wall: float
    cpu: float


Rounds = list[list[Sample]]
Measure = Callable[[], Sequence[Sample]]


def take_turns(
    rows: Mapping[str, Measure], *, rounds: int, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Rounds]:
    """Every row once a round, each round beginning with another one. The first round warms up and does not count."""
    names = list(rows)
    measured: dict[str, Rounds] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in rotated(names, number):
            progress(f"round {number} of {rounds}: {name}")
            samples = list(rows[name]())
            if number:
                measured[name].append(samples)
    return measured


def rotated(names: Sequence[str], by: int) -> list[str]:
    """The same order, begun elsewhere.

    >>> rotated(["a", "b", "c"], 4)
    ['b', 'c', 'a']
    """
    start = by % len(names) if names else 0
    return [*names[start:], *names[:start]]


def timed(call: Callable[[], object]) -> Sample:
    """One call in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def by_round(rounds: Rounds, *, cpu: bool = False, quantile: float = 0.5) -> list[float]:
    """The quantile of each round, in seconds."""
    return [float(np.quantile([sample.cpu if cpu else sample.wall for sample in one], quantile)) for one in rounds]


def middle(rounds: Rounds, *, cpu: bool = False, quantile: float = 0.5) -> float:
    """The median over the rounds of each round's quantile, in seconds."""
    return median(by_round(rounds, cpu=cpu, quantile=quantile))


def ratio(rounds: Rounds, base: Rounds, *, cpu: bool = False) -> float:
    """How many times as long as ``base``: the median over the rounds of the quotient of the same round's medians."""
    pairs = zip(by_round(rounds, cpu=cpu), by_round(base, cpu=cpu), strict=True)
    return median(one / other for one, other in pairs if other)


def spread(rounds: Rounds, *, cpu: bool = False) -> tuple[float, float]:
    """The lowest and the highest of the rounds' medians, in seconds."""
    medians = by_round(rounds, cpu=cpu)
    return min(medians), max(medians)
