"""A simulated day against a request by request simulation, and against what can be said without one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.reporting import cost_day, day_hosted, day_serverless, day_traffic
from model_build.reporting.cost_estimate import Assumptions
from model_build.reporting.cost_work import Work
from slipway.prices import read_prices

WORK = Work(tokens=32, texts=1, milliseconds=8.4, overhead_ms=0.4)


def one_by_one(counts: day_traffic.Counts, milliseconds: float, start_ms: float, seed: int) -> int:
    """Cold starts if each request takes the environment that was used last, and starts one if none is free."""
    generator = np.random.default_rng(seed)
    free: list[float] = []  # when each environment is done
    cold = 0
    for second, count in enumerate(counts):
        for at in np.sort(second + generator.random(count)):
            free = [done for done in free if done > at - day_serverless.KEPT_SECONDS]
            idle = [done for done in free if done <= at]
            if idle:
                free.remove(max(idle))
            cold += not idle
            free.append(float(at) + milliseconds / 1e3 + (0 if idle else start_ms / 1e3))
    return cold


@pytest.mark.parametrize(("rate", "milliseconds"), [(0.02, 20.0), (2.0, 50.0), (10.0, 100.0)])
def test_cold_starts_are_about_as_many_as_one_by_one(rate: float, milliseconds: float) -> None:
    generator = np.random.default_rng(3)
    rates = np.full(3_600, rate)
    counts = day_traffic.arrived(rates, generator)
    seeds = range(3)
    expected = np.mean([one_by_one(counts, milliseconds, 400.0, seed) for seed in seeds])
    found = day_serverless.serve(rates, counts, milliseconds, 400.0, generator)
    assert found.requests == counts.sum()
    assert expected / 2 <= found.cold * found.requests <= expected * 2


def test_a_day_has_its_mean_a_night_a_noon_and_bursts() -> None:
    rates = day_traffic.expected(100.0, np.random.default_rng(0))
    assert rates.mean() == pytest.approx(100)
    assert rates[:600].mean() < 25
    assert np.median(rates[43_000:43_400]) > 150
    assert rates.max() > 250


def test_two_days_of_one_seed_are_the_same() -> None:
    days = [cost_day.day_cost(WORK, 10.0, read_prices(), Assumptions()) for _ in range(2)]
    assert days[0] == days[1]


def test_an_instance_that_is_never_full_lets_nobody_wait() -> None:
    hosted = day_hosted.host(np.full(day_traffic.SECONDS, 3), 10.0, parallel=2)
    assert (hosted.most, hosted.instance_hours, hosted.quantile(0.999), hosted.failed) == (1, 24.0, 10.0, 0.0)


def test_a_rise_waits_for_instances_that_come_minutes_later_and_those_beyond_a_minute_fail() -> None:
    counts = np.concatenate([np.full(43_200, 50), np.full(43_200, 600)])
    hosted = day_hosted.host(counts, 10.0, parallel=2)
    assert hosted.most == 5  # 600 / (0.7 * 200)
    assert hosted.quantile(0.999) > 60_000
    assert 0 < hosted.failed < 0.1
    assert hosted.waits[43_200 - 1] == 0
    assert hosted.waits[-1] == 0


@given(st.lists(st.integers(0, 500), min_size=60, max_size=600), st.integers(1, 500))
def test_no_request_of_the_queue_is_lost_or_served_before_it_came(counts: list[int], capacity: int) -> None:
    waits = day_hosted._waits(np.array(counts), np.full(len(counts), float(capacity)))
    assert (waits >= 0).all()
    left = 0.0
    for wait, count in zip(waits, counts, strict=True):
        assert wait == pytest.approx(left / capacity)
        left = max(0.0, left + count - capacity)


def test_ten_times_the_requests_cost_comprehend_ten_times_as_much_and_here_no_more_than_that() -> None:
    one, ten = (cost_day.day_cost(WORK, rate, read_prices(), Assumptions()) for rate in (10.0, 100.0))
    assert ten.comprehend_units == pytest.approx(10 * one.comprehend_units, abs=10)
    assert 9 < ten.lambda_month / one.lambda_month <= 10
    assert one.lambda_cold > ten.lambda_cold > 0
    assert one.lambda_month < one.comprehend_month / 100


def test_a_cold_start_shows_in_the_quantile_that_it_reaches() -> None:
    rare = cost_day.day_cost(WORK, 0.001, read_prices(), Assumptions())
    assert rare.lambda_cold > 0.5
    assert rare.lambda_p99_ms == pytest.approx(8.8 + 486)
