"""What a month of answers costs on AWS Lambda, from published prices and the milliseconds that were measured."""

import math
from dataclasses import dataclass
from typing import Literal

from slipway.break_even import compute_cost
from slipway.prices import read_prices

_PRICES = read_prices()
PRICES_AS_OF = f"{_PRICES.region}, the first tier of each, list prices read on {_PRICES.read()}"
GB_SECOND = {"x86_64": _PRICES["lambda_gb_second_x86_64"], "arm64": _PRICES["lambda_gb_second_arm64"]}
INVOCATIONS_PER_MILLION = _PRICES["lambda_million_requests"]
REST_API_PER_MILLION = _PRICES["rest_api_million_requests"]

MEMORY_MB = 1_769  # what Lambda gives one whole vCPU for
VOLUMES = (10_000, 1_000_000, 100_000_000)  # texts a month
REQUEST_SIZES = (1, 100)  # texts a request

Cpu = Literal["x86_64", "arm64"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """US dollars a month. ``compute`` and ``invocations`` are Lambda's, ``gateway`` is API Gateway's."""

    texts: int
    texts_per_request: int
    compute: float
    invocations: float
    gateway: float

    @property
    def total(self) -> float:
        return self.compute + self.invocations + self.gateway


def monthly_cost(
    ms_per_text: float, memory_mb: int, texts: int, *, texts_per_request: int = 1, cpu: Cpu = "x86_64"
) -> Cost:
    """The price of ``texts`` a month behind a REST API; a request is billed by whole milliseconds.

    >>> round(monthly_cost(1.0, 1024, 1_000_000).total, 2)  # 1,000 GB-s, a million requests
    3.72
    """
    requests = math.ceil(texts / texts_per_request)
    return Cost(
        texts=texts,
        texts_per_request=texts_per_request,
        compute=requests * compute_cost(ms_per_text * texts_per_request, memory_mb, GB_SECOND[cpu]),
        invocations=requests / 1e6 * INVOCATIONS_PER_MILLION,
        gateway=requests / 1e6 * REST_API_PER_MILLION,
    )


def cost_table(ms_alone: float, ms_packed: float, *, memory_mb: int = MEMORY_MB, cpu: Cpu = "x86_64") -> list[Cost]:
    """Every volume in requests of one text, which take ``ms_alone``, and of many, which take ``ms_packed`` a text."""
    milliseconds = {size: ms_alone if size == 1 else ms_packed for size in REQUEST_SIZES}
    return [
        monthly_cost(milliseconds[size], memory_mb, texts, texts_per_request=size, cpu=cpu)
        for texts in VOLUMES
        for size in REQUEST_SIZES
    ]


def dollars(amount: float) -> str:
    """An amount as people read it.

    >>> dollars(1234.5), dollars(3.7219), dollars(0.00012)
    ('$1,234', '$3.72', 'under $0.01')
    """
    if 0 < amount < 0.01:
        return "under $0.01"
    return f"${amount:,.2f}" if amount < 1_000 else f"${amount:,.0f}"
