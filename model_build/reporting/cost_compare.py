"""What a GPU costs beside Lambda: the rate of requests at which both are equal, a million texts, a month."""

from dataclasses import dataclass

from model_build.reporting.cost_estimate import MILLION, Assumptions, LambdaCost, lambda_cost, request_ms, speed_of
from model_build.reporting.cost_gpus import Speed
from model_build.reporting.cost_work import Work
from slipway.break_even import Thresholds, break_even_rps, compute_cost, instances_needed
from slipway.prices import Prices

HOURS = 730  # of a month


@dataclass(frozen=True, kw_only=True)
class GpuCost:
    """An instance behind the router. Rates are requests a second; what was not measured is None.

    ``must_answer`` is how many texts a second one instance has to be able to answer, lest it never pays.
    """

    instance: str
    gpu: str
    hour: float
    texts_per_second: float | None
    wait_ms: float | None
    capacity_rps: float | None
    saved_per_request: float
    break_even_rps: float
    enter_rps: float
    leave_rps: float
    must_answer: float
    million_texts: float | None


def gpu_cost(work: Work, instance: str, speed: Speed | None, prices: Prices, assumed: Assumptions) -> GpuCost:
    """One kind of instance against a function of ``assumed.memory_mb``. Raises PriceError if it has no price."""
    hour = prices.instance_hour(instance)
    measured_wait = speed.latency_ms if speed else None
    wait = measured_wait if assumed.wait_ms is None else assumed.wait_ms
    saved = saved_per_request(work, wait or 0.0, prices, assumed)
    capacity = speed.texts_per_second * assumed.utilisation / work.texts if speed else None
    alone = break_even_rps(hour, saved)
    pays = alone if capacity is None else break_even_rps(hour, saved, capacity_rps=capacity)
    around = Thresholds.around(pays)
    million = None
    if speed:
        routed = lambda_cost(work, assumed.memory_mb, prices, assumed).total - saved * MILLION / work.texts
        million = routed + hour / 3600 / (speed.texts_per_second * assumed.utilisation) * MILLION
    return GpuCost(
        instance=instance,
        gpu=prices.instances[instance].gpu,
        hour=hour,
        texts_per_second=speed.texts_per_second if speed else None,
        wait_ms=wait,
        capacity_rps=capacity,
        saved_per_request=saved,
        break_even_rps=pays,
        enter_rps=around.enter,
        leave_rps=around.leave,
        must_answer=alone * work.texts / assumed.utilisation,
        million_texts=million,
    )


def saved_per_request(work: Work, wait_ms: float, prices: Prices, assumed: Assumptions) -> float:
    """US dollars of the function's time that a GPU saves: all but the handler's own and the waiting."""
    own = work.overhead_ms / speed_of(assumed.memory_mb, 1)
    times = (request_ms(work, assumed.memory_mb), own + wait_ms)
    here, there = (compute_cost(ms, assumed.memory_mb, prices["lambda_gb_second_x86_64"]) for ms in times)
    return here - there


def month_on_lambda(cost: LambdaCost, work: Work, rps: float, prices: Prices) -> float:
    """US dollars a month at ``rps`` requests a second, API Gateway by its tiers."""
    millions = rps * 3600 * HOURS / MILLION
    gateway = prices.services["rest_api_million_requests"].total(millions)
    return (cost.total - cost.gateway) * millions * work.texts + gateway


def month_on_gpu(gpu: GpuCost, cost: LambdaCost, work: Work, rps: float, prices: Prices) -> float:
    """US dollars a month with every request answered by as many instances as carry ``rps``, of a measured kind."""
    count = instances_needed(rps, gpu.capacity_rps or 0.0)
    return month_on_lambda(cost, work, rps, prices) + HOURS * (count * gpu.hour - gpu.saved_per_request * rps * 3600)
