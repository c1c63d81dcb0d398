"""Turns, medians and ratios, on samples that are known."""

from collections.abc import Sequence

import pytest

from benchmarks.measure import Rounds, Sample, middle, ratio, spread, take_turns, timed


def rounds_of(*rounds: Sequence[float]) -> Rounds:
    """A processor that works half of the time."""
    return [[Sample(seconds, seconds / 2) for seconds in one] for one in rounds]


def test_every_row_is_measured_once_a_round_and_each_row_begins_a_round() -> None:
    order: list[str] = []

    def row(name: str) -> list[Sample]:
        order.append(name)
        return [Sample(1, 1)]

    found = take_turns({name: lambda name=name: row(name) for name in "abc"}, rounds=3)  # type: ignore[misc]
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert {name: len(rounds) for name, rounds in found.items()} == {"a": 3, "b": 3, "c": 3}


def test_the_first_round_warms_up_and_does_not_count() -> None:
    seconds = iter([100.0, 1.0, 2.0])
    found = take_turns({"row": lambda: [Sample(next(seconds), 0)]}, rounds=2)
    assert [sample.wall for (sample,) in found["row"]] == [1.0, 2.0]


def test_no_rows_are_no_error() -> None:
    assert take_turns({}, rounds=2) == {}


def test_one_disturbed_round_does_not_move_the_median() -> None:
    calm = rounds_of([1, 2, 3], [1, 2, 3], [100, 200, 300])
    assert middle(calm) == 2
    assert middle(calm, cpu=True) == 1
    assert middle(calm, quantile=1) == 3
    assert spread(calm) == (2, 200)


def test_a_ratio_compares_rounds_with_each_other() -> None:
    base = rounds_of([1], [10], [2])
    assert ratio(rounds_of([2], [20], [4]), base) == 2
    assert ratio(rounds_of([2], [20], [4]), base, cpu=True) == 2


def test_timed_counts_waiting_on_the_clock_only() -> None:
    import time

    sample = timed(lambda: time.sleep(0.05))
    assert sample.wall == pytest.approx(0.05, abs=0.5)
    assert sample.wall >= 0.05 > sample.cpu
