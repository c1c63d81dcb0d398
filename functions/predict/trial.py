"""What one process counts of a canary and of the live version beside it, and leaves in the model bucket.

Records are written every few seconds by a thread, as Lambda lets it: frozen with the process, it goes on with the next
request. Counts only add up, so whatever is late or lost is in the next record.
"""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from functions.predict import telemetry
from slipway.bakes.records import Records
from slipway.bakes.tally import Counts
from slipway.errors import StoreError

if TYPE_CHECKING:
    from slipway.releases import Canary, Live

EVERY = 3.0  # seconds between two records of a process
AGAIN = 60.0  # seconds after one that the store refused
COMPARED = 0.1  # of all requests, at most: what the live version is asked as well
_REASON = 300  # characters


class Trial:
    """The counts under one pointer, which has a ``canary``. Safe to use from several threads."""

    def __init__(self, pointer: "Live", canary: "Canary", records: Records, clock: Callable[[], float]) -> None:
        self.pointer = pointer
        self.canary = canary
        self.counts = Counts()
        self._share = min(1.0, COMPARED / canary.weight)
        self._records = records
        self._process = os.urandom(8).hex()  # not at import: processes of one SnapStart snapshot would share it
        self._clock = clock
        self._due = clock() + EVERY
        self._lock = threading.Lock()

    def canary_answered(self, milliseconds: float | None) -> bool:
        """Count it. True if the answer is one of those that are compared with the live version's."""
        with self._lock:
            self.counts.canary.note(milliseconds)
            answered = self.counts.canary.requests
        return int(answered * self._share) > int((answered - 1) * self._share)

    def canary_failed(self, error: Exception) -> None:
        """Count it, and say where."""
        telemetry.record_canary_failure(self.canary.version, error)
        with self._lock:
            self.counts.canary.fail()

    def canary_refused(self, reason: str) -> None:
        """It is not loaded, for this reason; for none if it is."""
        self.counts.refused = reason[:_REASON]

    def live_answered(self, milliseconds: float | None) -> None:
        """Count it."""
        with self._lock:
            self.counts.live.note(milliseconds)

    def live_failed(self) -> None:
        """Count it."""
        with self._lock:
            self.counts.live.fail()

    def compared(self, texts: int, disagreements: int) -> None:
        """Count texts that the live version was asked as well, and those to which it gave another label."""
        with self._lock:
            self.counts.compared += texts
            self.counts.disagreements += disagreements

    def keep(self) -> None:
        """Leave a record if it is time. Never waits."""
        with self._lock:
            if self._clock() < self._due:
                return
            self._due = float("inf")  # one at a time: an older record must not come last
        threading.Thread(target=self._write, name="trial", daemon=True).start()

    def _write(self) -> None:
        pause = EVERY
        try:
            with self._lock:
                record = self.counts.to_json()
            self._records.write(self.pointer, self._process, record)
        except StoreError as error:
            pause = AGAIN
            telemetry.logger.warning("the counts of the canary could not be written", reason=str(error))
        finally:
            self._due = self._clock() + pause
