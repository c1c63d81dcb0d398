"""Counts and bounds → what they say of the canary, in words. No I/O.

A candidate is bad once what was counted is too unlikely for one inside the bounds (below 1 in 1,000 at a look), and
good once there are enough requests and every measure is inside. Between the two nobody knows yet. Which requests the
canary gets is decided by a hash of their ids: their lengths and languages are those of all others, so that times and
failures are compared as they are.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from slipway.bakes.bounds import Bounds
from slipway.bakes.chance import chance_of
from slipway.bakes.tally import BUCKETS_A_DOUBLING, Counts

UNLIKELY = 1e-3
_QUANTILES = ((0.5, "half of its requests"), (0.95, "the slowest of twenty"))
_FOR_A_QUANTILE = 10  # requests of the live version above a quantile, before it is known well enough to compare with


class Verdict(NamedTuple):
    """``why`` is for the ledger."""

    says: Literal["good", "bad", "unknown"]
    why: str


class _Measure(NamedTuple):
    """``k`` of ``n`` went wrong where ``part`` may; ``why`` says so."""

    k: int
    n: int
    part: float
    why: str

    def is_bad(self) -> bool:
        return chance_of(self.k, self.n, self.part) < UNLIKELY

    def is_outside(self) -> bool:
        return self.k > self.n * self.part


def judge(counts: Counts, bounds: Bounds) -> Verdict:
    """What is known of the canary now."""
    if counts.refused:
        return Verdict("bad", f"it is refused: {counts.refused}")
    measures = list(_measures(counts, bounds))
    for measure in measures:
        if measure.is_bad():
            return Verdict("bad", measure.why)
    if missing := _missing(counts, bounds):
        return Verdict("unknown", missing)
    for measure in measures:
        if measure.is_outside():
            return Verdict("unknown", f"{measure.why}, which may be an accident")
    return Verdict("good", _summary(counts))


def _measures(counts: Counts, bounds: Bounds) -> Iterator[_Measure]:
    canary, live = counts.canary, counts.live
    usual = (live.failures / live.requests if live.requests else 0) + bounds.errors / 100
    said = f"it failed at {canary.failures} of {canary.requests} requests, and {100 * usual:.3g} % may"
    yield _Measure(canary.failures, canary.requests, min(usual, 1.0), said)
    yield from (_slowness(counts, bounds.slowdown, part, name) for part, name in _QUANTILES if _is_known(counts, part))
    said = f"{counts.disagreements} of {counts.compared} texts got another label than from the live version"
    said += f", and {bounds.disagreement:g} % may"
    yield _Measure(counts.disagreements, counts.compared, bounds.disagreement / 100, said)


def _slowness(counts: Counts, slowdown: float, part: float, name: str) -> _Measure:
    """A canary that is at its bound has 1 - ``part`` of its times above ``slowdown`` times the live quantile."""
    bound = counts.live.quantile(part) + 1 + math.ceil(BUCKETS_A_DOUBLING * math.log2(slowdown))
    slower, timed = counts.canary.at_least(bound), counts.canary.timed()
    said = f"{name} took {_ratio(counts, part):.2g} times as long as the live version's, and {slowdown:g} times may be"
    return _Measure(slower, timed, 1 - part, f"{said} ({timed} requests)")


def _is_known(counts: Counts, part: float) -> bool:
    return counts.canary.timed() > 0 and counts.live.timed() * (1 - part) >= _FOR_A_QUANTILE


def _ratio(counts: Counts, part: float) -> float:
    apart = counts.canary.quantile(part) - counts.live.quantile(part)
    return float(2 ** (apart / BUCKETS_A_DOUBLING))


def _missing(counts: Counts, bounds: Bounds) -> str:
    """What there is too little of."""
    for count, what in (
        (counts.canary.requests, "requests of the canary"),
        (counts.live.requests, "requests of the live version"),
        (counts.compared, "texts that both were asked for"),
    ):
        if count < bounds.requests:
            return f"too few {what}: {count}, and {bounds.requests:g} are needed"
    return ""


def _summary(counts: Counts) -> str:
    canary = counts.canary
    known = [(part, name) for part, name in _QUANTILES if _is_known(counts, part)]
    times = "".join(f", {name} took {_ratio(counts, part):.2g} times as long as live" for part, name in known)
    return (
        f"{canary.failures} of {canary.requests} requests failed{times}, "
        f"{counts.disagreements} of {counts.compared} texts got another label"
    )
