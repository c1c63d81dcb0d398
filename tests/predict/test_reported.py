"""What all processes see together, as it was last left in the store."""

import time

import pytest

from functions.predict.reported import EVERY, FRESH, Reported
from slipway.errors import StoreError
from slipway.pulse import Pulse
from tests.predict.conftest import Clock


class Kept:
    """A store's answers, one after the other; the last one again and again."""

    def __init__(self, *answers: Pulse | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Pulse | None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_report_counts_while_it_is_fresh() -> None:
    wall = Clock()
    reported = Reported(Kept(Pulse(42.0, at=wall.now)), clock=Clock(), wall=wall)
    reported.look()
    assert reported() == 42.0
    wall.advance(FRESH)
    assert reported() == 0.0


def test_a_report_of_the_future_does_not_count_for_ever() -> None:
    wall = Clock()
    reported = Reported(Kept(Pulse(42.0, at=wall.now)), clock=Clock(), wall=wall)
    reported.look()
    wall.advance(-6 * 3_600)  # the clock was wrong, and was put right
    assert reported() == 0.0


@pytest.mark.parametrize("answer", [None, StoreError("S3 is away.")])
def test_without_a_report_nothing_is_known(answer: Pulse | Exception | None) -> None:
    reported = Reported(Kept(answer), clock=Clock(), wall=Clock())
    reported.look()
    assert reported() == 0.0


def test_a_store_that_is_away_leaves_what_was_known() -> None:
    wall = Clock()
    reported = Reported(Kept(Pulse(7.0, at=wall.now), StoreError("S3 is away.")), clock=Clock(), wall=wall)
    reported.look()
    reported.look()
    assert reported() == 7.0


def test_it_looks_again_now_and_then_and_no_request_waits() -> None:
    clock, kept = Clock(), Kept(None)
    reported = Reported(kept, clock=clock, wall=Clock())
    for _ in range(5):
        reported()
    clock.advance(EVERY)
    reported()
    deadline = time.monotonic() + 30
    while kept.asked < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert kept.asked == 2
