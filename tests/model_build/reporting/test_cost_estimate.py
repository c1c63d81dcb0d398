"""Milliseconds to dollars on Lambda and on GPUs: by hand, and what must hold for any of them."""

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.predict import telemetry
from model_build.reporting.cost_compare import gpu_cost, month_on_gpu, month_on_lambda, saved_per_request
from model_build.reporting.cost_estimate import Assumptions, at_one_vcpu, lambda_cost, request_ms
from model_build.reporting.cost_gpus import Speed
from model_build.reporting.cost_work import Work
from slipway.prices import Price, Prices, read_prices

PRICES = read_prices()
ASSUMED = Assumptions()
WORK = Work(tokens=32, texts=1, milliseconds=8.0, overhead_ms=0.5)

works = st.builds(
    Work,
    tokens=st.just(32),
    texts=st.integers(1, 1000),
    milliseconds=st.floats(0.1, 5_000),
    overhead_ms=st.floats(0, 5),
)
memories = st.integers(128, 10_240)


def dearer(service: str, factor: float) -> Prices:
    price = PRICES.services[service]
    services = dict(PRICES.services) | {service: dataclasses.replace(price, value=price.value * factor)}
    return Prices(PRICES.region, services, PRICES.instances)


def test_a_million_texts_alone_by_hand() -> None:
    """8.5 ms are billed as 9; a hundredth of the requests pays 486 ms more; 940 bytes are logged."""
    cost = lambda_cost(WORK, 1769, PRICES, ASSUMED)
    second = 1769 / 1024 * 0.0000166667
    assert cost.request_ms == 8.5
    assert cost.compute == pytest.approx(1e6 * 0.009 * second)
    assert cost.cold_starts == pytest.approx(1e4 * 0.486 * second)
    assert (cost.requests, cost.gateway) == (pytest.approx(0.20), pytest.approx(3.50))
    assert cost.logs == pytest.approx(0.47)
    assert cost.total == pytest.approx(0.25913 + 0.13993 + 0.2 + 3.5 + 0.47, abs=1e-4)


@pytest.mark.parametrize(
    ("texts", "memory", "milliseconds"),
    [(1, 1769, 80.5), (1, 3538, 80.5), (1, 3008, 80.5), (100, 1769, 80.5), (100, 3538, 50.5), (100, 3008, 80.5)],
)
def test_above_one_vcpu_only_whole_threads_of_a_batch_gain(texts: int, memory: int, milliseconds: float) -> None:
    work = Work(tokens=32, texts=texts, milliseconds=80, overhead_ms=0.5)
    assert request_ms(work, memory) == pytest.approx(milliseconds)


def test_half_a_vcpu_takes_twice_as_long() -> None:
    assert request_ms(WORK, 1769 // 2) == pytest.approx(17, rel=2e-3)


@given(works, memories)
def test_what_cloudwatch_saw_at_a_memory_size_is_brought_back_to_one_vcpu(work: Work, memory: int) -> None:
    bare = dataclasses.replace(work, overhead_ms=0.0)
    assert at_one_vcpu(request_ms(bare, memory), memory, work.texts) == pytest.approx(work.milliseconds)


@given(works, memories, memories)
def test_more_memory_is_never_slower(work: Work, one: int, other: int) -> None:
    assert request_ms(work, max(one, other)) <= request_ms(work, min(one, other)) * (1 + 1e-9)


@given(works, memories, st.floats(1.0, 5.0))
@pytest.mark.parametrize(
    ("service", "part"),
    [
        ("lambda_gb_second_x86_64", "compute"),
        ("lambda_million_requests", "requests"),
        ("rest_api_million_requests", "gateway"),
        ("logs_gb", "logs"),
    ],
)
def test_each_part_is_linear_in_its_price(service: str, part: str, work: Work, memory: int, factor: float) -> None:
    now, then = (lambda_cost(work, memory, prices, ASSUMED) for prices in (PRICES, dearer(service, factor)))
    assert getattr(then, part) == pytest.approx(factor * getattr(now, part))
    assert then.total >= now.total * (1 - 1e-9)


@given(works, st.floats(0.01, 1_000))
def test_a_month_is_linear_in_texts_within_the_first_tier(work: Work, rps: float) -> None:
    cost = lambda_cost(work, 1769, PRICES, ASSUMED)
    rps = min(rps, 60)  # 333 million requests are 127 a second
    one, two = (month_on_lambda(cost, work, rate, PRICES) for rate in (rps, 2 * rps))
    assert two == pytest.approx(2 * one)
    assert one == pytest.approx(cost.total * rps * work.texts * 3600 * 730 / 1e6)


def gpu(work: Work, texts_per_second: float | None, **assumed: Any) -> Any:
    speed = texts_per_second and Speed(instance="ml.g5.xlarge", tokens=32, texts_per_second=texts_per_second)
    return gpu_cost(work, "ml.g5.xlarge", speed or None, PRICES, dataclasses.replace(ASSUMED, **assumed))


@given(st.floats(20, 5_000), st.floats(0, 20), st.floats(10, 50_000), st.floats(0.1, 1))
def test_at_the_break_even_rate_a_month_costs_the_same_on_both_sides(
    milliseconds: float, wait_ms: float, texts_per_second: float, utilisation: float
) -> None:
    work = Work(tokens=32, texts=100, milliseconds=milliseconds, overhead_ms=0.5)
    cost = lambda_cost(work, ASSUMED.memory_mb, PRICES, ASSUMED)
    found = gpu(work, texts_per_second, utilisation=utilisation, wait_ms=wait_ms)
    if math.isinf(found.break_even_rps):
        full = found.capacity_rps
        assert month_on_gpu(found, cost, work, full, PRICES) >= month_on_lambda(cost, work, full, PRICES) * (1 - 1e-9)
        return
    there, here = (
        month_on_gpu(found, cost, work, found.break_even_rps, PRICES),
        month_on_lambda(cost, work, found.break_even_rps, PRICES),
    )
    assert there == pytest.approx(here)
    below = 0.9 * found.break_even_rps
    assert month_on_gpu(found, cost, work, below, PRICES) > month_on_lambda(cost, work, below, PRICES)


@given(st.floats(1, 5_000), st.floats(0.1, 1))
def test_what_it_must_answer_is_where_never_turns_into_a_rate(milliseconds: float, utilisation: float) -> None:
    work = Work(tokens=32, texts=10, milliseconds=milliseconds, overhead_ms=0.0)
    least = gpu(work, None, utilisation=utilisation).must_answer
    assert math.isfinite(gpu(work, least * 1.01, utilisation=utilisation).break_even_rps)
    assert math.isinf(gpu(work, least * 0.99, utilisation=utilisation).break_even_rps)


def test_a_gpu_that_keeps_the_function_waiting_as_long_saves_nothing() -> None:
    assert saved_per_request(WORK, 8.0, PRICES, ASSUMED) == 0
    assert math.isinf(gpu(WORK, 1e6, wait_ms=8.0).break_even_rps)


def test_an_unmeasured_gpu_has_no_price_of_a_million_texts() -> None:
    found = gpu(WORK, None)
    assert (found.texts_per_second, found.capacity_rps, found.million_texts) == (None, None, None)
    assert math.isfinite(found.break_even_rps)


def test_a_million_texts_on_a_gpu_by_hand() -> None:
    """At 5,000 texts/s and half use $1.408 buy 9 million; the function waits 3 ms and works for half a one."""
    found = gpu(WORK, 5_000, utilisation=0.5, wait_ms=3.0)
    on_lambda = lambda_cost(WORK, 1769, PRICES, ASSUMED)
    waiting = 1e6 * 0.004 * 1769 / 1024 * 0.0000166667
    assert found.million_texts == pytest.approx(1.408 / 9 + on_lambda.total - on_lambda.compute + waiting)


def test_arm64_is_priced_by_its_own_price() -> None:
    x86, arm = (lambda_cost(WORK, 1024, PRICES, ASSUMED, cpu=cpu).compute for cpu in ("x86_64", "arm64"))
    assert arm / x86 == pytest.approx(0.0000133334 / 0.0000166667)


def test_a_price_of_nothing_is_a_price() -> None:
    free = Prices(PRICES.region, PRICES.services, {"ml.own": Price(0.0, "hour", "ours", "", "2026-11-26", True)})
    assert gpu_cost(WORK, "ml.own", None, free, ASSUMED).break_even_rps == 0


def test_the_line_that_is_logged_is_as_long_as_the_function_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With names and ids as long as AWS's."""
    request, name = "8f1c6a0e-7f0b-4d0e-9a43-2a4d9a6c1b11", "slipway-prod-demo-api-ServingFunction2A1B3C4D-AbCdEfGhIjKl"
    monkeypatch.setattr(telemetry, "_request", {})
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    telemetry.begin(request, SimpleNamespace(function_name=name, aws_request_id=request))  # type: ignore[arg-type]
    capsys.readouterr()
    telemetry.record(telemetry.Served("20261125T221628Z-11ece9eed364", "cpu-int8", ["positive"], 32, 8.12))
    assert len(capsys.readouterr().out) == pytest.approx(ASSUMED.log_bytes, rel=0.1)
