"""A day on instances that are there whether anybody asks or not, and are added too late for a burst.

A fluid queue: what a second's requests need beyond what the instances do waits. SageMaker's target tracking looks at a
minute's mean; here it adds after three minutes above its target and five more for an instance to start, and removes
after fifteen below, as Application Auto Scaling's documentation says of its alarms.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_build.reporting.day_traffic import Counts

TARGET = 0.7  # of an instance's capacity
OUT_MINUTES, IN_MINUTES = 3 + 5, 15
LONGEST_SECONDS = 60.0  # that SageMaker waits for an answer


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """A day. ``failed`` is the share of the requests that would have waited longer than SageMaker does."""

    instance_hours: float
    most: int
    milliseconds: float
    waits: npt.NDArray[np.float64]
    counts: Counts

    @property
    def failed(self) -> float:
        return float(self.counts[self.waits > LONGEST_SECONDS].sum()) / max(1, int(self.counts.sum()))

    def quantile(self, share: float) -> float:
        """Milliseconds that ``share`` of the requests were answered within."""
        order = np.argsort(self.waits, kind="stable")
        reached = np.searchsorted(np.cumsum(self.counts[order]), share * self.counts.sum())
        return self.milliseconds + 1e3 * float(self.waits[order[min(int(reached), len(order) - 1)]])


def host(counts: Counts, milliseconds: float, *, parallel: int) -> Hosted:
    """``parallel`` requests at a time on an instance, each for ``milliseconds``."""
    capacity = parallel / milliseconds * 1e3  # requests a second
    minutes = counts.reshape(-1, 60)
    instances = _instances(minutes.mean(1), capacity)
    waits = _waits(counts, np.repeat(instances, 60).astype(np.float64) * capacity)
    return Hosted(
        instance_hours=float(instances.sum()) / 60,
        most=int(instances.max()),
        milliseconds=milliseconds,
        waits=waits,
        counts=counts,
    )


def _instances(per_minute: npt.NDArray[np.float64], capacity: float) -> Counts:
    """Instances in each minute; the first are those that the day's mean asks for."""
    wanted = [max(1, math.ceil(rate / (TARGET * capacity))) for rate in per_minute]
    now = max(1, math.ceil(float(per_minute.mean()) / (TARGET * capacity)))
    found, above, below = [], 0, 0
    for want in wanted:
        above, below = (above + 1 if want > now else 0), (below + 1 if want < now else 0)
        if above >= OUT_MINUTES:
            now, above = want, 0
        elif below >= IN_MINUTES:
            now, below = now - 1, 0
        found.append(now)
    return np.array(found)


def _waits(counts: Counts, done: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Seconds that the requests of each second wait, ``done`` being what the instances answer in it."""
    waits, left = np.zeros(len(counts)), 0.0
    for second, (came, can) in enumerate(zip(counts.tolist(), done.tolist(), strict=True)):
        waits[second] = left / can
        left = max(0.0, left + came - can)
    return waits
