"""Heavy or light: the rate over a minute, with hysteresis."""

from functions.predict.traffic import WINDOW, Traffic
from slipway.break_even import Thresholds


class Day:
    """A clock, and requests at a rate."""

    def __init__(self, elsewhere: float = 0.0) -> None:
        self.now = 5_000.25
        self.elsewhere = elsewhere
        self.traffic = Traffic(Thresholds(10, 6), rate=lambda: self.elsewhere, clock=lambda: self.now)

    def run(self, rps: int, seconds: int) -> list[str]:
        modes = []
        for _ in range(seconds * rps):
            modes.append(self.traffic.note())
            self.now += 1 / rps
        return modes


def test_it_is_heavy_once_a_minute_has_seen_the_rate() -> None:
    modes = Day().run(10, 2 * WINDOW)
    assert 0 <= modes.index("heavy") - (10 * WINDOW - 1) <= 10  # seconds are counted whole
    assert set(modes[10 * WINDOW + 10 :]) == {"heavy"}


def test_a_burst_counts_as_the_minute_that_it_fills() -> None:
    assert Day().run(100, 6)[-1] == "heavy"
    assert set(Day().run(100, 5)) == {"light"}


def test_between_the_thresholds_it_stays_as_it_was() -> None:
    day = Day()
    assert set(day.run(8, 2 * WINDOW)) == {"light"}
    assert day.run(12, 2 * WINDOW)[-1] == "heavy"
    assert set(day.run(8, 2 * WINDOW)) == {"heavy"}
    assert day.run(5, 2 * WINDOW)[-1] == "light"


def test_after_a_silence_nothing_is_left_of_the_minute() -> None:
    day = Day()
    assert day.run(20, WINDOW)[-1] == "heavy"
    day.now += 10 * WINDOW
    assert day.traffic.note() == "light"


def test_what_all_processes_see_counts_even_if_this_one_sees_little() -> None:
    day = Day(elsewhere=50.0)
    assert day.run(1, 2) == ["heavy", "heavy"]
    day.elsewhere = 0.0
    assert day.traffic.note() == "light"


def test_a_clock_that_goes_back_changes_nothing() -> None:
    day = Day()
    assert day.run(20, WINDOW)[-1] == "heavy"
    day.now -= 30
    assert day.traffic.note() == "heavy"
