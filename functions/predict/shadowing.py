"""A candidate scores what others have answered: in a thread of its own, after the answer, and at nobody's risk.

Between requests Lambda freezes the thread with the rest of the process, so a sampled text may be scored while the next
request is served. What does not fit into the queue is dropped and counted: a sample that is late is worth nothing.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aws_lambda_powertools import Logger

from functions.predict import telemetry
from slipway.encoding import Encoded
from slipway.predictor import Predictor

QUEUE = 64  # requests

Encode = Callable[[], Sequence[Encoded]]
# Version of the candidate, texts compared, texts with another label, and the largest difference: how much likelier the
# candidate held its own label than the answered one, 0 where all agree.
Report = Callable[[str, int, int, float], None]
# Version of a candidate that did not score a sampled request, and whether it was dropped or failed at.
Lost = Callable[[str, bool], None]


class _Request(NamedTuple):
    candidate: Predictor
    encoded: Sequence[Encoded] | Encode
    labels: Sequence[str]
    report: Report


class Shadowing:
    """The queue and its thread, which starts with the first request: none is in a SnapStart snapshot.

    ``texts``, ``disagreements``, ``failures`` and ``dropped`` (both in requests) count since the start.
    """

    def __init__(
        self, report: Report, *, lost: Lost = telemetry.record_shadow_loss, logger: Logger = telemetry.logger
    ) -> None:
        self.texts = 0
        self.disagreements = 0
        self.failures = 0
        self.dropped = 0
        self._report = report
        self._lost = lost
        self._logger = logger
        self._waiting: deque[_Request] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    def submit(
        self,
        candidate: Predictor,
        encoded: Sequence[Encoded] | Encode,
        labels: Sequence[str],
        report: Report | None = None,
    ) -> None:
        """Have ``candidate`` classify texts that were answered with ``labels``, one a text. Never waits, never raises.

        An empty label is an abstention, which is not compared. ``encoded`` must be the candidate's own encoding, or
        what makes it, which is then called in the thread: versions may have different tokenizers. ``report`` is called
        instead of the one that all the others have.
        """
        with self._changed:
            if len(self._waiting) >= QUEUE:
                self.dropped += 1
                self._lost(candidate.manifest.version, True)
                return
            self._waiting.append(_Request(candidate, encoded, labels, report or self._report))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is left to score, at most ``timeout`` seconds; False if something is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                request, self._busy = self._waiting.popleft(), True
            self._score(request)
            del request  # or a withdrawn candidate would stay in memory until the next one is sampled
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _score(self, request: _Request) -> None:
        version = request.candidate.manifest.version
        try:
            texts, disagreements, largest = _compare(request)
            self.texts += texts
            self.disagreements += disagreements
            request.report(version, texts, disagreements, largest)
        except Exception as error:  # whatever a candidate does is its own affair; its kind only, never a text
            self.failures += 1
            self._lost(version, False)
            kind, failures, dropped = type(error).__name__, self.failures, self.dropped
            self._logger.warning("shadow failed", model_version=version, kind=kind, failures=failures, dropped=dropped)


def _compare(request: _Request) -> tuple[int, int, float]:
    """Texts compared, texts with another label, the largest difference."""
    encoded = request.encoded() if callable(request.encoded) else request.encoded
    names = request.candidate.manifest.labels
    differences = []
    for prediction, answered in zip(request.candidate.classify(encoded), request.labels, strict=True):
        chances = dict(zip(names, prediction.probabilities.tolist(), strict=True))
        if answered:
            differences.append(max(chances.values()) - chances.get(answered, 0.0))
    return len(differences), sum(difference > 0 for difference in differences), max(differences, default=0.0)
