"""What a million texts cost on Lambda at a memory size, from what one vCPU needs for a request.

A function has memory / 1,769 MB of a vCPU (AWS Lambda developer guide, "Configure Lambda function memory"). Below one
vCPU time grows in proportion. Above, a text alone gains nothing, since it runs on one thread; the texts of a request
share ``memory // 1769`` threads. An estimate, not a measurement on Lambda, whose processors differ.
"""

from dataclasses import dataclass

from model_build.reporting.cost import MEMORY_MB, Cpu
from model_build.reporting.cost_work import Work
from slipway.break_even import compute_cost
from slipway.prices import Prices

_SERIAL = 0.25  # of a batch's time: two threads made it 1.6 times as fast (docs/cost.md)
MILLION = 1e6


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is not measured by the command; each is an option of it."""

    memory_mb: int = MEMORY_MB  # of the deployment: GPUs are compared with it
    cold_starts: float = 0.01  # of all requests: AWS's Compute Blog of 2025-04-29 says under 1 %
    init_ms: float = 486.0  # docs/benchmarks.md (b), whole function, 6 layers: from the process's start to an answer
    log_bytes: int = 940  # the one line that functions/predict/telemetry.py writes of a request
    utilisation: float = 0.6  # of a GPU: the part of its texts a second that is planned with
    wait_ms: float | None = None  # of the function while a GPU answers; None is what was measured, or nothing


@dataclass(frozen=True, kw_only=True)
class LambdaCost:
    """US dollars for a million texts. ``request_ms`` is the estimate for one request."""

    memory_mb: int
    cpu: Cpu
    request_ms: float
    compute: float
    cold_starts: float
    requests: float
    gateway: float
    logs: float

    @property
    def total(self) -> float:
        return self.compute + self.cold_starts + self.requests + self.gateway + self.logs


def threads_of(memory_mb: int, texts: float) -> int:
    """Threads that a request runs on, as ``slipway.settings.function_vcpus`` gives them."""
    return max(1, memory_mb // MEMORY_MB) if texts > 1 else 1


def speed_of(memory_mb: int, texts: float) -> float:
    """How fast a request's texts are done, one vCPU being 1.

    >>> round(speed_of(885, 1), 2), speed_of(3538, 1), speed_of(3538, 100)
    (0.5, 1.0, 1.6)
    """
    threads = threads_of(memory_mb, texts)
    return min(1.0, memory_mb / MEMORY_MB) / (_SERIAL + (1 - _SERIAL) / threads)


def request_ms(work: Work, memory_mb: int) -> float:
    """Milliseconds of one request in a function of ``memory_mb``."""
    own = work.overhead_ms / speed_of(memory_mb, 1)
    return own + work.milliseconds / speed_of(memory_mb, work.texts)


def at_one_vcpu(milliseconds: float, memory_mb: int, texts: float) -> float:
    """The inverse: what took ``milliseconds`` in a function of ``memory_mb`` takes on one vCPU."""
    return milliseconds * speed_of(memory_mb, texts)


def lambda_cost(work: Work, memory_mb: int, prices: Prices, assumed: Assumptions, *, cpu: Cpu = "x86_64") -> LambdaCost:
    """A million texts in requests like ``work``."""
    requests = MILLION / work.texts
    gb_second = prices[f"lambda_gb_second_{cpu}"]
    milliseconds = request_ms(work, memory_mb)
    start_ms = assumed.init_ms / speed_of(memory_mb, 1)
    return LambdaCost(
        memory_mb=memory_mb,
        cpu=cpu,
        request_ms=milliseconds,
        compute=requests * compute_cost(milliseconds, memory_mb, gb_second),
        cold_starts=requests * assumed.cold_starts * compute_cost(start_ms, memory_mb, gb_second),
        requests=requests / MILLION * prices["lambda_million_requests"],
        gateway=requests / MILLION * prices["rest_api_million_requests"],
        logs=requests * assumed.log_bytes / 1e9 * prices["logs_gb"],
    )
