"""All that ``slipway cost`` tells: what was measured, what it costs where, and what had to be assumed."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model_build.reporting import cost_day
from model_build.reporting.cost import MEMORY_MB, Cpu
from model_build.reporting.cost_compare import GpuCost, gpu_cost, month_on_gpu, month_on_lambda
from model_build.reporting.cost_estimate import Assumptions, LambdaCost, lambda_cost
from model_build.reporting.cost_gpus import Speed
from model_build.reporting.cost_work import Work
from slipway.break_even import ENTER, LEAVE
from slipway.prices import Prices

CPUS: tuple[Cpu, ...] = ("x86_64", "arm64")


@dataclass(frozen=True)
class CostReport:
    """``measured`` says what was measured where; ``works`` has one entry a length, ``rates`` are requests a second."""

    measured: str
    works: Sequence[Work]
    memories: Sequence[int]
    prices: Prices
    assumed: Assumptions
    speeds: Sequence[Speed]
    rates: Sequence[float]

    @property
    def compared(self) -> Work:
        """The work of the middle length, at which GPUs are compared."""
        return self.works[len(self.works) // 2]

    def on_lambda(self, work: Work, cpu: Cpu = "x86_64") -> list[LambdaCost]:
        """One entry a memory size."""
        return [lambda_cost(work, memory, self.prices, self.assumed, cpu=cpu) for memory in self.memories]

    def deployed(self, cpu: Cpu = "x86_64") -> LambdaCost:
        """The compared work in a function like the deployment's."""
        return lambda_cost(self.compared, self.assumed.memory_mb, self.prices, self.assumed, cpu=cpu)

    def on_gpus(self) -> list[GpuCost]:
        """Every instance with a card, and every measured one. Raises PriceError if one of these has no price."""
        speeds = {speed.instance: speed for speed in self.speeds}
        named = [name for name, price in self.prices.instances.items() if price.gpu]
        chosen = [*named, *(name for name in speeds if name not in named)]
        return [gpu_cost(self.compared, name, speeds.get(name), self.prices, self.assumed) for name in chosen]

    def months(self) -> list[dict[str, float]]:
        """US dollars a month at each rate: on Lambda by processor, and on each GPU that was measured."""
        work, measured = self.compared, [gpu for gpu in self.on_gpus() if gpu.capacity_rps]
        cost = self.deployed()
        return [
            {"requests_per_second": rate}
            | {f"lambda_{cpu}": month_on_lambda(self.deployed(cpu), work, rate, self.prices) for cpu in CPUS}
            | {gpu.instance: month_on_gpu(gpu, cost, work, rate, self.prices) for gpu in measured}
            for rate in self.rates
        ]

    def days(self) -> list[cost_day.DayCost]:
        """A simulated day at each rate, and what a month of such days costs in other places."""
        return [cost_day.day_cost(self.compared, rate, self.prices, self.assumed) for rate in self.rates]

    def assumptions(self) -> list[str]:
        """What a reader has to know before believing a number; sentences."""
        assumed, prices = self.assumed, self.prices
        unconfirmed = ", ".join(prices.unconfirmed()) or "none"
        return [
            f"Prices: {prices.region}, first tier (months: API Gateway by its tiers), no free tier, read on "
            f"{prices.read()}. Unconfirmed: {unconfirmed}.",
            f"An estimate, not measured on Lambda: a function has memory / {MEMORY_MB:,} MB of such a vCPU. Below one "
            "vCPU time grows in proportion; above it a text alone gains nothing.",
            "arm64 is priced at the same milliseconds; it was not timed. A request is billed by whole milliseconds.",
            f"An init of {assumed.init_ms:g} ms is billed in {100 * assumed.cold_starts:g} % of the requests.",
            f"{assumed.log_bytes} bytes are logged a request, without Lambda's and API Gateway's own lines.",
            "Not in it: data transfer, traces, metrics, alarms, storage, SnapStart, taxes, and data of endpoints "
            f"(${prices['endpoint_data_gb']:g} a GB).",
            f"GPUs are compared with {assumed.memory_mb:,} MB on x86-64, planned at {100 * assumed.utilisation:g} % of "
            "their texts a second, and paid for every hour. Requests still pass API Gateway and the function, which is "
            f"paid for while it waits. {self._wait()} Heavy mode begins at {ENTER:g} and ends at {LEAVE:g} times the "
            "break-even rate.",
            *cost_day.assumptions(assumed),
        ]

    def _wait(self) -> str:
        """How long the function waits for a GPU, which is what break-even rates hang on."""
        known = sorted({gpu.wait_ms for gpu in self.on_gpus() if gpu.wait_ms is not None})
        told = f"It waits {' to '.join(f'{ms:g}' for ms in known[:1] + known[1:][-1:])} ms." if known else ""
        if any(gpu.wait_ms is None for gpu in self.on_gpus()):
            told += " Where that was not measured it counts as 0 ms, so that the true rate is higher (--wait-ms)."
        return told.strip()

    def to_dict(self) -> dict[str, Any]:
        """One document; an infinite rate, which JSON has not, is null."""
        return {
            "measured": self.measured,
            "work": [asdict(work) | {"ms_per_text": work.ms_per_text} for work in self.works],
            "lambda": [
                asdict(cost) | {"tokens": work.tokens, "million_texts": cost.total}
                for work in self.works
                for cpu in CPUS
                for cost in self.on_lambda(work, cpu)
            ],
            "compared_tokens": self.compared.tokens,
            "gpus": [{name: _finite(value) for name, value in asdict(gpu).items()} for gpu in self.on_gpus()],
            "months": self.months(),
            "days": [day.to_dict() for day in self.days()],
            "assumed": asdict(self.assumed),
            "assumptions": self.assumptions(),
            "prices": {
                "region": self.prices.region,
                "read": self.prices.read(),
                "unconfirmed": self.prices.unconfirmed(),
                "services": {name: asdict(price) for name, price in self.prices.services.items()},
                "instances": {name: asdict(price) for name, price in self.prices.instances.items()},
            },
        }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
