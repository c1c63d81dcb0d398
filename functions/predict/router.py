"""CPU or GPU, for each request: the GPU is an acceleration, never a dependency.

It is asked for large requests, and for all while traffic is heavy, as long as the breaker lets it and it serves the
very version that the request is for. Whatever goes wrong there, None comes back and the CPU answers.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from functions.predict import gpu, telemetry
from functions.predict.breaker import Breaker
from functions.predict.traffic import Traffic
from slipway.answers import Answer
from slipway.break_even import Thresholds
from slipway.requests import PredictRequest
from slipway.settings import Settings

ELSEWHERE = 30.0  # seconds that a version is not asked for again after the endpoint served another one


class Routed(NamedTuple):
    """Answers of the endpoint."""

    answers: list[Answer]
    backend: str


class Router:
    """``rate`` is what is known of all processes together, in requests a second. Safe to call from several threads."""

    def __init__(
        self,
        settings: Settings,
        invoke: gpu.Invoke,
        *,
        rate: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._large = settings.gpu_tokens
        self._invoke = invoke
        self._clock = clock
        self._elsewhere: tuple[str, float] = ("", 0.0)  # a version that is not there, and until when
        self.breaker = Breaker(clock)
        self.traffic = Traffic(Thresholds(settings.gpu_enter_rps, settings.gpu_leave_rps), rate=rate, clock=clock)

    def wants(self, tokens: int) -> bool:
        """Whether a request that has just come, with so many ``tokens`` in all of its texts, is one for the GPU."""
        return self.traffic.note() == "heavy" or tokens >= self._large

    def predict(self, request: PredictRequest, version: str) -> Routed | None:
        """The endpoint's answers for ``version``; None if the CPU is to answer."""
        if self._elsewhere[0] == version and self._clock() < self._elsewhere[1]:
            return None
        if not self.breaker.allows():
            telemetry.record_fallback("open", self.breaker.state)
            return None
        try:
            found = gpu.predict(self._invoke, request)
        except gpu.GpuFailure as failure:
            self._failed(failure)
            return None
        self.breaker.success()
        if found.model_version != version:  # a promotion rolls the endpoint in minutes and the function in seconds
            self._elsewhere = (version, self._clock() + ELSEWHERE)
            telemetry.record_fallback("version", self.breaker.state)
            return None
        telemetry.record_gpu(len(found.answers))
        return Routed(found.answers, _named(found.backend))

    def _failed(self, failure: gpu.GpuFailure) -> None:
        if failure.kind in ("refused", "size"):  # it answered: only this request is not for it
            self.breaker.success()
        else:
            self.breaker.failure(at_once=failure.lasting)
        telemetry.record_fallback(failure.kind, self.breaker.state)


def _named(backend: str) -> str:
    """An endpoint without a GPU stands for one, in tests and demos: an answer says where it came from all the same."""
    return backend if backend.startswith("gpu-") else f"endpoint-{backend}"
