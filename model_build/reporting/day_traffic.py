"""A day of requests, second by second: a night and a noon, Poisson arrivals, and bursts that nobody announces.

A simulation and not a recording: its shape is stated here, and the same seed gives the same day.
"""

import numpy as np
import numpy.typing as npt

SECONDS = 86_400
SWING = 0.8  # of the mean: the night has 0.2 times and noon 1.8 times as many requests
BURSTS, BURST_SECONDS, BURST_TIMES = 12, 60, 3.0  # a day, each so long and so many times what is usual then

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]


def expected(mean: float, generator: np.random.Generator) -> Rates:
    """Requests that each second of a day may expect, of shape (86400,), ``mean`` a second over the day.

    >>> rates = expected(10.0, np.random.default_rng(0))
    >>> rates.shape, round(float(rates.mean()), 6)
    ((86400,), 10.0)
    """
    shape = 1 - SWING * np.cos(2 * np.pi * np.arange(SECONDS) / SECONDS)
    for begin in generator.choice(SECONDS - BURST_SECONDS, BURSTS, replace=False):
        shape[begin : begin + BURST_SECONDS] *= BURST_TIMES
    rates: Rates = mean * shape / shape.mean()
    return rates


def arrived(rates: Rates, generator: np.random.Generator) -> Counts:
    """Requests of each second, if they come independently of one another."""
    return generator.poisson(rates)
