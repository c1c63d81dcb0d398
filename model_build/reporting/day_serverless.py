"""How often a day's requests meet a cold start, of a service that has one environment for each request at a time.

Requests that take a fixed time ``s`` and come at random keep Poisson(rate * s) environments busy at an instant (the
M/D/∞ queue); instants ``s`` apart are independent, so that a second has 1 / s of them, and the most busy ones in it are
drawn at once. An environment is kept for a while after its last request; whoever finds none free starts one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.stats import poisson

from model_build.reporting.day_traffic import Counts, Rates

KEPT_SECONDS = 300  # that an idle environment is kept; AWS documents no number


@dataclass(frozen=True, kw_only=True)
class Served:
    """A day. ``cold`` is the share of the requests that waited for an environment to start, ``most`` those at once."""

    requests: int
    cold: float
    most: int
    milliseconds: float
    start_ms: float

    def quantile(self, share: float) -> float:
        """Milliseconds that ``share`` of the requests were answered within: a request is warm, or it is cold.

        >>> served = Served(requests=1000, cold=0.005, most=2, milliseconds=9.0, start_ms=500.0)
        >>> served.quantile(0.99), served.quantile(0.999)
        (9.0, 509.0)
        """
        return self.milliseconds + (self.start_ms if share > 1 - self.cold else 0.0)


def serve(rates: Rates, counts: Counts, milliseconds: float, start_ms: float, generator: np.random.Generator) -> Served:
    """A day whose seconds expect ``rates`` requests and have ``counts``, each of them busy for ``milliseconds``."""
    busy = most_busy(rates, milliseconds / 1e3, generator)
    # Until one has started, those that come meanwhile find it busy too.
    starting = np.ceil(np.maximum(0, busy - _kept(busy)) * max(1.0, start_ms / 1e3))
    requests = int(counts.sum())
    cold = min(1.0, float(starting.sum()) / max(1, requests))
    return Served(requests=requests, cold=cold, most=int(busy.max()), milliseconds=milliseconds, start_ms=start_ms)


def most_busy(rates: Rates, seconds: float, generator: np.random.Generator) -> Counts:
    """The most requests at once in each second, if each takes ``seconds`` (at most 1)."""
    # The largest of n draws is at most k with probability F(k) ** n: one draw, raised to 1 / n.
    drawn = generator.random(len(rates)) ** min(1.0, seconds)
    found: Counts = poisson.ppf(drawn, rates * seconds).astype(np.int64)
    return found


def _kept(busy: Counts) -> Counts:
    """Environments that are there when a second begins: as many as were busy at once in the last minutes."""
    # The window ends one second before: shifted, since the filter looks as far ahead as back.
    latest = maximum_filter1d(busy, KEPT_SECONDS, origin=(KEPT_SECONDS - 1) // 2, mode="constant", cval=0)
    return np.concatenate([[0], latest[:-1]])
