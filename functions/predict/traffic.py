"""Whether traffic is heavy: the rate of requests over a minute against the break-even rate, with hysteresis.

A function's process sees its own requests only. What all of them see together is counted by CloudWatch and left beside
the live pointer by ``functions.release.pulse``, every minute; a process takes the larger of the two rates.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

from slipway.break_even import Thresholds

WINDOW = 60  # seconds

Mode = Literal["light", "heavy"]


class Traffic:
    """``rate`` says what is known beyond this process, in requests a second. Safe to call from several threads."""

    def __init__(
        self, thresholds: Thresholds, *, rate: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._thresholds = thresholds
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds = [0] * WINDOW  # requests in each second of the window, by the second modulo its length
        self._last = int(clock())
        self._heavy = False

    def note(self) -> Mode:
        """A request has come; the mode with it."""
        with self._lock:
            self._forget()
            self._seconds[self._last % WINDOW] += 1
            rate = max(sum(self._seconds) / WINDOW, self._rate())
            self._heavy = self._thresholds.heavy(rate, before=self._heavy)
            return "heavy" if self._heavy else "light"

    def _forget(self) -> None:
        now = int(self._clock())
        for second in range(self._last + 1, min(now, self._last + WINDOW) + 1):
            self._seconds[second % WINDOW] = 0
        self._last = max(self._last, now)
