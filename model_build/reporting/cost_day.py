"""A month of simulated days: here, on SageMaker's instances and without them, and at Comprehend, by list prices."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from model_build.reporting.cost_compare import HOURS, month_on_lambda
from model_build.reporting.cost_estimate import Assumptions, lambda_cost, request_ms, speed_of
from model_build.reporting.cost_work import Work
from model_build.reporting.day_hosted import Hosted, host
from model_build.reporting.day_serverless import Served, serve
from model_build.reporting.day_traffic import SWING, arrived, expected
from slipway.break_even import billed
from slipway.prices import Prices

INSTANCE, INSTANCE_VCPUS = "ml.m5.large", 2
SERVERLESS_GB = 2  # SageMaker has from 1 to 6; like Lambda's, they bring vCPUs in proportion
CHARACTERS_A_TOKEN = 4  # of English; Comprehend counts characters
UNIT_CHARACTERS = 100  # a second, of Comprehend's inference unit
_SEED = 13


@dataclass(frozen=True, kw_only=True)
class DayCost:
    """``rate`` requests a second in the mean. Months are US dollars, shares are of all requests."""

    rate: float
    lambda_month: float
    lambda_cold: float
    lambda_p99_ms: float
    lambda_p999_ms: float
    hosted_month: float
    hosted_most: int
    hosted_p99_ms: float
    hosted_failed: float
    serverless_month: float
    comprehend_month: float
    comprehend_units: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def day_cost(work: Work, rate: float, prices: Prices, assumed: Assumptions) -> DayCost:
    """One day of ``rate`` requests a second, each like ``work``, the same day for everybody."""
    generator = np.random.default_rng(_SEED)
    rates = expected(rate, generator)
    counts = arrived(rates, generator)
    milliseconds = request_ms(work, assumed.memory_mb)
    start_ms = assumed.init_ms / speed_of(assumed.memory_mb, 1)
    served = serve(rates, counts, milliseconds, start_ms, generator)
    hosted = host(counts, work.overhead_ms + work.milliseconds, parallel=INSTANCE_VCPUS)
    units = comprehend_units(work, rate)
    return DayCost(
        rate=rate,
        lambda_month=_lambda_month(work, rate, served, prices, assumed),
        lambda_cold=served.cold,
        lambda_p99_ms=served.quantile(0.99),
        lambda_p999_ms=served.quantile(0.999),
        hosted_month=_hosted_month(hosted, prices),
        hosted_most=hosted.most,
        hosted_p99_ms=hosted.quantile(0.99),
        hosted_failed=hosted.failed,
        serverless_month=_serverless_month(work, rate, served, prices),
        comprehend_month=units * prices["comprehend_endpoint_second"] * 3600 * HOURS,
        comprehend_units=units,
    )


def comprehend_units(work: Work, rate: float) -> int:
    """Inference units that carry noon, without bursts: beyond them Comprehend throttles.

    >>> comprehend_units(Work(tokens=32, texts=1, milliseconds=9.0), 1.0)
    3
    """
    return math.ceil(rate * (1 + SWING) * work.texts * work.tokens * CHARACTERS_A_TOKEN / UNIT_CHARACTERS)


def _lambda_month(work: Work, rate: float, served: Served, prices: Prices, assumed: Assumptions) -> float:
    """API Gateway with it; the cold starts are those of the day, not those assumed."""
    met = replace(assumed, cold_starts=served.cold)
    return month_on_lambda(lambda_cost(work, assumed.memory_mb, prices, met), work, rate, prices)


def _hosted_month(hosted: Hosted, prices: Prices) -> float:
    return hosted.instance_hours / 24 * HOURS * prices.instance_hour(INSTANCE)


def _serverless_month(work: Work, rate: float, served: Served, prices: Prices) -> float:
    share = min(1.0, SERVERLESS_GB * 1024 / 1769)
    seconds = billed((work.overhead_ms + work.milliseconds) / share) / 1e3 + served.cold * served.start_ms / 1e3
    return rate * 3600 * HOURS * seconds * SERVERLESS_GB * prices["serverless_gb_second"]


def assumptions(assumed: Assumptions) -> list[str]:
    """What the simulated days take for granted; sentences."""
    return [
        "Days are simulated: noon has 1.8 times and the night 0.2 times the mean, 12 bursts of a minute three times "
        f"what is usual; an idle environment is kept for 5 minutes, and one starts in {assumed.init_ms:g} ms.",
        f"{INSTANCE} answers {INSTANCE_VCPUS} requests at a time and is scaled to 70 % by the minute, 8 minutes late; "
        f"Serverless Inference has {SERVERLESS_GB} GB and Lambda's cold starts. Neither has API Gateway before it.",
        f"Comprehend has as many inference units as noon asks for, at {CHARACTERS_A_TOKEN} characters a token and its "
        f"{UNIT_CHARACTERS} characters a second a unit; training there is not in it.",
    ]
