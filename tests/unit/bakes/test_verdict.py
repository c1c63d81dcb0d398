"""What counts say of a canary: too little, good, or bad with the reason."""

import math
import random
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway.bakes.bounds import Bounds
from slipway.bakes.chance import chance_of
from slipway.bakes.tally import Counts, Tally
from slipway.bakes.verdict import judge

BOUNDS = Bounds(requests=50)


def tally(requests: int, *, milliseconds: float = 2.0, failures: int = 0) -> Tally:
    made = Tally()
    for _ in range(requests - failures):
        made.note(milliseconds)
    for _ in range(failures):
        made.fail()
    return made


def counts(*, live: Tally | None = None, canary: Tally | None = None, compared: int = 100, other: int = 0) -> Counts:
    return Counts(
        live=live or tally(1_000), canary=canary or tally(100), compared=compared, disagreements=other, refused=""
    )


def test_a_canary_like_the_live_version_is_good_and_its_numbers_are_told() -> None:
    verdict = judge(counts(canary=tally(100), other=3), BOUNDS)
    assert verdict.says == "good"
    assert verdict.why.startswith("0 of 100 requests failed, half of its requests took 1 times as long as live")
    assert verdict.why.endswith("3 of 100 texts got another label")


@pytest.mark.parametrize("failures", [3, 30, 100])
def test_a_canary_that_fails_is_bad_after_a_few_requests(failures: int) -> None:
    verdict = judge(counts(canary=tally(failures, failures=failures), compared=0), BOUNDS)
    assert verdict == ("bad", f"it failed at {failures} of {failures} requests, and 1 % may")


def test_one_failure_of_a_few_requests_may_be_an_accident() -> None:
    assert judge(counts(canary=tally(20, failures=1)), BOUNDS).says == "unknown"


def test_a_canary_is_not_blamed_for_what_the_live_version_fails_at_as_often() -> None:
    broken = counts(live=tally(1_000, failures=300), canary=tally(100, failures=30))
    assert judge(broken, BOUNDS).says == "good"
    assert judge(counts(canary=tally(100, failures=30)), BOUNDS).says == "bad"


def test_a_canary_that_takes_twice_as_long_is_bad() -> None:
    verdict = judge(counts(canary=tally(20, milliseconds=4.0), compared=20), BOUNDS)
    assert verdict.says == "bad"
    assert "half of its requests took 2 times as long as the live version's, and 1.5 times may" in verdict.why


def test_a_canary_whose_tail_alone_is_slow_is_bad() -> None:
    canary = tally(80)
    for _ in range(20):
        canary.note(50.0)
    verdict = judge(counts(canary=canary), BOUNDS)
    assert (verdict.says, verdict.why[:22]) == ("bad", "the slowest of twenty ")


def test_a_canary_that_is_somewhat_slower_is_good() -> None:
    assert judge(counts(canary=tally(1_000, milliseconds=2.6)), BOUNDS).says == "good"


def test_time_is_not_judged_before_the_live_version_s_is_known() -> None:
    verdict = judge(counts(live=tally(19), canary=tally(60, milliseconds=20.0)), BOUNDS)
    assert verdict == ("unknown", "too few requests of the live version: 19, and 50 are needed")


def test_a_canary_that_gives_other_labels_is_bad() -> None:
    verdict = judge(counts(compared=20, other=20), BOUNDS)
    assert verdict == ("bad", "20 of 20 texts got another label than from the live version, and 10 % may")


def test_a_little_more_than_the_bound_is_waited_for() -> None:
    verdict = judge(counts(compared=100, other=13), BOUNDS)
    assert verdict.says == "unknown"
    assert verdict.why.endswith("which may be an accident")
    assert judge(counts(compared=2_000, other=260), BOUNDS).says == "bad"


def test_a_canary_that_no_process_can_load_is_bad() -> None:
    assert judge(Counts(refused="damaged"), BOUNDS) == ("bad", "it is refused: damaged")


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (Counts(), "too few requests of the canary: 0"),
        (counts(canary=tally(49)), "too few requests of the canary: 49"),
        (counts(compared=49), "too few texts that both were asked for: 49"),
    ],
)
def test_with_too_few_requests_nothing_is_known(found: Counts, missing: str) -> None:
    verdict = judge(found, BOUNDS)
    assert verdict == ("unknown", f"{missing}, and 50 are needed")


def test_a_hundred_bakes_of_a_good_candidate_withdraw_none_and_a_hundred_of_a_bad_one_promote_none() -> None:
    """At every tenth request a look: the many looks of a bake must not add up to an accident."""
    chances = random.Random(11)
    for disagreement, refused in ((0.05, "bad"), (0.3, "good")):
        for _ in range(100):
            found = counts(live=tally(400), compared=0)
            for look in range(1, 301):
                found.compared += 1
                found.disagreements += chances.random() < disagreement
                if look % 10 == 0:
                    assert judge(found, Bounds()).says != refused


@given(n=st.integers(1, 200), part=st.floats(0.001, 0.999), data=st.data())
def test_a_chance_is_the_sum_of_the_binomial_s_terms(n: int, part: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    p = Fraction(part)  # in floats the terms lose their digits below 1e-308
    exact = float(sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)))
    found = chance_of(k, n, part)
    assert found == 1 if k <= n * part else math.isclose(found, exact, rel_tol=1e-6, abs_tol=1e-300)


def test_a_chance_of_a_million_is_found_at_once() -> None:
    assert chance_of(101_000, 1_000_000, 0.1) == pytest.approx(0.000435, rel=0.02)
    assert (chance_of(1, 10, 0.0), chance_of(0, 0, 0.1), chance_of(10, 10, 1.0)) == (0.0, 1.0, 1.0)
