"""A canary is asked first, and the live version where it fails: a caller pays for a bad one with time, not with errors.

What becomes of both is counted while there is a canary. Some of its answers are held against the live version's, which
is asked after the answer, in a thread, as a shadow is.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from functions.predict.scratch import FATAL, KILLED
from functions.predict.shadowing import Shadowing
from functions.predict.trial import Trial
from slipway.errors import RequestError
from slipway.requests import PredictRequest

if TYPE_CHECKING:
    from functions.predict.answering import Answered
    from functions.predict.live import LiveModel
    from functions.predict.serving import Chosen
    from slipway.bakes.records import Records
    from slipway.predictor import Predictor
    from slipway.releases import Canary, Live


class Ask(Protocol):
    """Has a version answer the request; no ``candidate`` is asked for on the GPU, which has what is live."""

    def __call__(self, predictor: "Predictor", *, candidate: bool = False) -> "Answered": ...


class Trials:
    """The trials of one function, by model. Safe to call from several threads."""

    def __init__(
        self, open_records: Callable[[str], "Records"], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``open_records`` is called with a model's name once it has a canary."""
        self.comparing = Shadowing(_is_no_shadow, lost=_is_no_comparison)
        self._open_records = open_records
        self._clock = clock
        self._trials: dict[str, Trial] = {}
        self._lock = threading.Lock()

    def ask(self, name: str, model: "LiveModel", request: PredictRequest, chosen: "Chosen", ask: Ask) -> "Answered":
        """What ``ask`` gets of the chosen version, or of the live one where the canary fails.

        Raises what ``ask`` raises for the live version.
        """
        canary = chosen.pointer.canary
        if canary is None:
            return ask(chosen.predictor)
        trial = self._trial(name, chosen.pointer, canary)
        # As long as this process lives: its loader tries such a version again after a minute.
        killed = (name, canary.version) in model.scratch.killers
        trial.canary_refused(KILLED if killed else model.refused.get(canary.version, ""))
        try:
            return self._ask(trial, request, chosen, model.scratch.at_risk(name, canary.version, FATAL), ask)
        finally:
            trial.keep()

    def _ask(
        self, trial: Trial, request: PredictRequest, chosen: "Chosen", risk: AbstractContextManager[None], ask: Ask
    ) -> "Answered":
        if chosen.role == "live":
            return _ask_live(trial, chosen.live, ask)
        try:
            with risk:
                answered, milliseconds = _timed(partial(ask, candidate=True), chosen.predictor)
        except RequestError as refusal:
            answered = _ask_live(trial, chosen.live, ask)  # which refuses as well if it is the request's own fault
            trial.canary_failed(refusal)
            return answered
        except Exception as error:  # whatever a candidate does is its own affair
            trial.canary_failed(error)
            return _ask_live(trial, chosen.live, ask)
        if trial.canary_answered(milliseconds):
            self._compare(trial, chosen.live, request, answered)
        return answered

    def _compare(self, trial: Trial, live: "Predictor", request: PredictRequest, answered: "Answered") -> None:
        """Its first text: those of one request are alike, and one is enough work."""
        encode = partial(live.encoder.encode, request.texts[:1], truncation=request.parameters.truncation)

        def report(_version: str, texts: int, disagreements: int, _largest: float) -> None:
            trial.compared(texts, disagreements)  # of its own trial, however late: the next canary's is another one

        self.comparing.submit(live, encode, [answered.answers[0].scores[0][0]], report)

    def _trial(self, name: str, pointer: "Live", canary: "Canary") -> Trial:
        with self._lock:
            trial = self._trials.get(name)
            if trial is None or (trial.pointer is not pointer and trial.pointer != pointer):
                trial = self._trials[name] = Trial(pointer, canary, self._open_records(name), self._clock)
            return trial


def _ask_live(trial: Trial, live: "Predictor", ask: Ask) -> "Answered":
    try:
        answered, milliseconds = _timed(ask, live)
    except RequestError:
        raise
    except Exception:  # counted, and raised again
        trial.live_failed()
        raise
    trial.live_answered(milliseconds)
    return answered


def _timed(ask: "Callable[[Predictor], Answered]", predictor: "Predictor") -> "tuple[Answered, float | None]":
    """The answer, and its milliseconds if it is one that CPUs give: both versions' are of the same requests then."""
    started = time.perf_counter()
    answered = ask(predictor)
    milliseconds = (time.perf_counter() - started) * 1e3
    return answered, None if answered.for_gpu else milliseconds


def _is_no_shadow(_version: str, _texts: int, _disagreements: int, _largest: float) -> None:
    """Each comparison has its own report."""


def _is_no_comparison(_version: str, _dropped: bool) -> None:
    """What the live version did not score is not counted: there is the next answer."""
