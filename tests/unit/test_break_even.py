"""Where two curves cross, and a mode that does not flutter around it."""

import doctest
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slipway import break_even
from slipway.break_even import ENTER, LEAVE, Thresholds, billed, break_even_rps, compute_cost, instances_needed

hours = st.floats(0.01, 100)
savings = st.floats(1e-9, 1e-2)
rates = st.floats(0.001, 1e6)


def test_examples() -> None:
    assert doctest.testmod(break_even).failed == 0


def test_an_hour_of_a_t4_against_300_ms_by_hand() -> None:
    """300 ms of 1,024 MB are 0.3 GB-s, $5.00001e-6; $0.7364 an hour is $2.0456e-4 a second: 40.91 requests/s."""
    saved = compute_cost(300, 1024, 0.0000166667)
    assert saved == pytest.approx(5.00001e-6)
    assert break_even_rps(0.7364, saved) == pytest.approx(40.911, abs=1e-3)


@given(hours, savings)
def test_at_the_break_even_rate_both_cost_the_same(hour: float, saved: float) -> None:
    rate = break_even_rps(hour, saved)
    assert rate * 3600 * saved == pytest.approx(hour)


@given(hours, savings, rates)
def test_above_it_the_gpu_is_cheaper_and_below_it_lambda(hour: float, saved: float, rate: float) -> None:
    even = break_even_rps(hour, saved)
    assume(not math.isclose(rate, even, rel_tol=1e-6))
    assert (hour < rate * 3600 * saved) == (rate > even)


@given(hours, savings, st.floats(1.01, 10))
def test_a_dearer_gpu_pays_later_and_a_dearer_lambda_sooner(hour: float, saved: float, factor: float) -> None:
    even = break_even_rps(hour, saved)
    assert break_even_rps(hour * factor, saved) > even
    assert break_even_rps(hour, saved * factor) < even


@given(hours, savings, rates, st.integers(1, 50))
def test_one_that_cannot_carry_its_break_even_never_pays_however_many_there_are(
    hour: float, saved: float, capacity: float, count: int
) -> None:
    even = break_even_rps(hour, saved, capacity_rps=capacity, instances=count)
    full = capacity * count
    if math.isinf(even):
        assert count * hour > full * 3600 * saved * (1 - 1e-9)  # all of them full, and still dearer
    else:
        assert even <= full * (1 + 1e-9)
        assert even == pytest.approx(count * break_even_rps(hour, saved))


@pytest.mark.parametrize("saved", [0.0, -1e-6])
def test_what_saves_nothing_never_pays(saved: float) -> None:
    assert math.isinf(break_even_rps(1.0, saved))


@given(rates, rates)
def test_instances_carry_the_rate_and_one_less_would_not(rate: float, capacity: float) -> None:
    assume(rate / capacity < 1e6)
    count = instances_needed(rate, capacity)
    assert count * capacity >= rate * (1 - 1e-6)
    assert count == 1 or (count - 1) * capacity < rate


@given(st.floats(0, 1e5))
def test_milliseconds_are_billed_whole(milliseconds: float) -> None:
    assert 0 <= billed(milliseconds) - milliseconds < 1 or milliseconds == pytest.approx(billed(milliseconds), abs=1e-6)


@given(st.floats(0.1, 1e5), st.lists(st.floats(0, 2e5), max_size=30))
def test_between_the_thresholds_the_mode_stays(even: float, seen: list[float]) -> None:
    thresholds, mode = Thresholds.around(even), False
    for rate in seen:
        now = thresholds.heavy(rate, before=mode)
        if thresholds.leave <= rate < thresholds.enter:
            assert now == mode
        else:
            assert now == (rate >= thresholds.enter)
        mode = now


def test_thresholds_lie_around_the_rate_and_of_never_are_never() -> None:
    assert Thresholds.around(100) == Thresholds(enter=100 * ENTER, leave=100 * LEAVE)
    assert not Thresholds.around(math.inf).heavy(1e12, before=True)
