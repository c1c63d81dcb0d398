"""Whether the endpoint is asked at all, after it has failed: a circuit breaker.

closed     every call goes through
open       no call goes through until a pause is over; each failed probe doubles it
half-open  one call goes through as a probe: its success closes the breaker, its failure opens it again

A failure that says that nothing will answer for a while ("no capacity", another version) opens it at once, others when
three follow one another. Michael Nygard's "Release It!" has the pattern.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]

FAILURES = 3  # in a row
PAUSE, LONGEST = 5.0, 120.0  # seconds


class Breaker:
    """Safe to call from several threads. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = PAUSE
        self._open_until: float | None = None
        self._probe_until = 0.0

    @property
    def state(self) -> State:
        """What it is now; asking changes nothing."""
        with self._lock:
            if self._open_until is None:
                return "closed"
            return "open" if self._clock() < self._open_until else "half-open"

    def allows(self) -> bool:
        """Whether a call may go through. A call that went through must be told by ``success`` or ``failure``."""
        with self._lock:
            if self._open_until is None:
                return True
            now = self._clock()
            if now < max(self._open_until, self._probe_until):
                return False
            self._probe_until = now + LONGEST  # a probe whose process froze is not waited for longer
            return True

    def success(self) -> None:
        """A call was answered."""
        with self._lock:
            self._failures, self._pause = 0, PAUSE
            self._open_until, self._probe_until = None, 0.0

    def failure(self, *, at_once: bool = False) -> None:
        """A call was not; ``at_once`` opens without waiting for more of them."""
        with self._lock:
            self._failures += 1
            if self._open_until is None and self._failures < FAILURES and not at_once:
                return
            if self._probe_until:  # it was the probe, and not one of several calls that were under way
                self._pause = min(2 * self._pause, LONGEST)
            self._open_until, self._probe_until = self._clock() + self._pause, 0.0
