"""The rate of requests of all processes together, as ``functions.release.pulse`` last left it in the store."""

import threading
import time
from collections.abc import Callable

from slipway.errors import StoreError
from slipway.pulse import Pulse

EVERY = 15.0  # seconds between two looks
FRESH = 180.0  # seconds that a report counts: the pulse beats every 60


class Reported:
    """Called, it gives requests a second, and 0.0 where nothing recent is known; a thread looks again meanwhile."""

    def __init__(
        self,
        read: Callable[[], Pulse | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._next = 0.0
        self._last: Pulse | None = None

    def __call__(self) -> float:
        if self._is_due():
            threading.Thread(target=self.look, name="pulse", daemon=True).start()
        last = self._last
        return last.requests_per_second if last and abs(self._wall() - last.at) < FRESH else 0.0

    def look(self) -> None:
        """Read it now. A store that does not answer leaves what was known, which then ages."""
        try:
            self._last = self._read()
        except StoreError:
            return

    def _is_due(self) -> bool:
        with self._lock:
            now = self._clock()
            due = now >= self._next
            if due:
                self._next = now + EVERY
            return due
