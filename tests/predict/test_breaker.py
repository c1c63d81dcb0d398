"""The breaker: when calls go through, and that it always comes back."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from functions.predict.breaker import FAILURES, LONGEST, PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES - 1):
        breaker.failure()
        assert breaker.state == "closed"
    breaker.success()
    for _ in range(FAILURES):
        assert breaker.allows()
        breaker.failure()
    assert breaker.state == "open"
    assert not breaker.allows()


def test_what_lasts_opens_it_at_once() -> None:
    breaker = Breaker(Clock())
    breaker.failure(at_once=True)
    assert breaker.state == "open"


def test_one_probe_goes_through_when_the_pause_is_over() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failure(at_once=True)
    clock.now += PAUSE
    assert breaker.state == "half-open"
    assert breaker.allows()
    assert not breaker.allows(), "a second probe"
    breaker.success()
    assert breaker.state == "closed"
    assert breaker.allows()


def test_failed_probes_double_the_pause_up_to_a_bound() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failure(at_once=True)
    pauses = []
    for _ in range(8):
        began = clock.now
        while not breaker.allows():
            clock.now += 0.5
        pauses.append(clock.now - began)
        breaker.failure()
    assert pauses[:3] == [PAUSE, 2 * PAUSE, 4 * PAUSE]
    assert max(pauses) == pauses[-1] == LONGEST


def test_a_probe_that_is_never_told_of_is_not_waited_for_forever() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failure(at_once=True)
    clock.now += PAUSE
    assert breaker.allows()
    clock.now += LONGEST
    assert breaker.allows()


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, it is asked again within bounds, and a success closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock)

    @rule(seconds=st.floats(0, 300))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_call(self) -> None:
        self.breaker.allows()

    @rule(at_once=st.booleans())
    def a_failure(self, at_once: bool) -> None:
        self.breaker.failure(at_once=at_once)

    @rule()
    def a_success(self) -> None:
        self.breaker.success()
        assert self.breaker.state == "closed"

    @invariant()
    def it_is_asked_again_before_long(self) -> None:
        before = self.clock.now
        self.clock.now += LONGEST
        assert self.breaker.state in ("closed", "half-open")
        self.clock.now = before


AnyOrder.TestCase.settings = settings(max_examples=60, deadline=None)
TestAnyOrder = AnyOrder.TestCase
