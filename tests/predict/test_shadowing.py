"""A shadow is asked after the answer, in a thread, and whatever becomes of it becomes of nothing else."""

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aws_lambda_powertools import Logger

from functions.predict.shadowing import QUEUE, Shadowing
from slipway.encoding import Encoded
from slipway.loading import load_predictor
from slipway.predictor import Predictor

POSITIVE, NEGATIVE = "a superb lovely great film", "the plot was awful dull poor"
SECRET = "Zx9secretQw"


@pytest.fixture(scope="module")
def candidate(tiny_artifact: Path) -> Predictor:
    return load_predictor(tiny_artifact)


@pytest.fixture
def reported() -> list[tuple[str, int, int, float]]:
    return []


@pytest.fixture
def shadowing(reported: list[tuple[str, int, int, float]], live_logs: Any, request: Any) -> Iterator[Shadowing]:
    logger = Logger(service=request.node.name, stream=live_logs.stream)
    shadowing = Shadowing(lambda *found: reported.append(found), logger=logger)
    yield shadowing
    assert shadowing.drain(30)


def _encoded(candidate: Predictor, *texts: str) -> list[Encoded]:
    return candidate.encoder.encode(texts)


class Held:
    """A candidate that waits until a test lets it go on."""

    def __init__(self, candidate: Predictor) -> None:
        self.manifest = candidate.manifest
        self.go_on = threading.Event()
        self.asked = threading.Event()
        self._candidate = candidate

    def classify(self, encoded: Sequence[Encoded]) -> Any:
        self.asked.set()
        assert self.go_on.wait(30)
        return self._candidate.classify(encoded)


def test_where_a_candidate_agrees_nothing_differs(
    shadowing: Shadowing, candidate: Predictor, reported: list[tuple[str, int, int, float]]
) -> None:
    shadowing.submit(candidate, _encoded(candidate, POSITIVE, NEGATIVE), ["positive", "negative"])
    assert shadowing.drain(30)
    assert reported == [(candidate.manifest.version, 2, 0, 0.0)]
    assert (shadowing.texts, shadowing.disagreements, shadowing.failures, shadowing.dropped) == (2, 0, 0, 0)


def test_a_disagreement_is_counted_with_how_sure_the_candidate_is(
    shadowing: Shadowing, candidate: Predictor, reported: list[tuple[str, int, int, float]]
) -> None:
    shadowing.submit(candidate, _encoded(candidate, POSITIVE, NEGATIVE), ["positive", "positive"])
    assert shadowing.drain(30)
    ((_, texts, disagreements, largest),) = reported
    negative, positive = candidate.predict([NEGATIVE])[0].probabilities.tolist()
    assert (texts, disagreements) == (2, 1)
    assert largest == pytest.approx(negative - positive, abs=1e-5)
    assert (shadowing.texts, shadowing.disagreements) == (2, 1)


def test_a_label_that_the_candidate_does_not_know_is_a_disagreement(
    shadowing: Shadowing, candidate: Predictor, reported: list[tuple[str, int, int, float]]
) -> None:
    shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["splendid"])
    assert shadowing.drain(30)
    ((_, texts, disagreements, largest),) = reported
    assert (texts, disagreements) == (1, 1)
    assert largest == pytest.approx(float(candidate.predict([POSITIVE])[0].probabilities.max()), abs=1e-5)


def test_an_abstention_is_not_compared(
    shadowing: Shadowing, candidate: Predictor, reported: list[tuple[str, int, int, float]]
) -> None:
    shadowing.submit(candidate, _encoded(candidate, POSITIVE, NEGATIVE), ["", "negative"])
    shadowing.submit(candidate, _encoded(candidate, POSITIVE), [""])
    assert shadowing.drain(30)
    assert [found[1:] for found in reported] == [(1, 0, 0.0), (0, 0, 0.0)]


def test_an_encoding_is_made_in_the_thread_and_not_in_the_request_s(shadowing: Shadowing, candidate: Predictor) -> None:
    made: list[str] = []

    def encode() -> list[Encoded]:
        made.append(threading.current_thread().name)
        return _encoded(candidate, POSITIVE)

    shadowing.submit(candidate, encode, ["positive"])
    assert shadowing.drain(30)
    assert made == ["shadow"]
    assert shadowing.texts == 1


def test_a_shadow_that_raises_is_counted_and_logged_without_a_text_and_the_next_one_is_scored(
    shadowing: Shadowing, candidate: Predictor, live_logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: Any) -> Any:
        raise ValueError(f"cannot handle {SECRET}")

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "classify", stumble)
        shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["positive"])
        assert shadowing.drain(30)
    shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["positive"])
    assert shadowing.drain(30)
    assert (shadowing.failures, shadowing.texts) == (1, 1)
    (record,) = live_logs.of("shadow failed")
    assert (record["model_version"], record["kind"]) == (candidate.manifest.version, "ValueError")
    assert SECRET not in live_logs.stream.getvalue()


@pytest.mark.parametrize("labels", [[], ["positive", "positive"]], ids=["too few", "too many"])
def test_labels_that_are_not_one_a_text_are_a_failure_and_no_exception(
    shadowing: Shadowing, candidate: Predictor, labels: list[str]
) -> None:
    shadowing.submit(candidate, _encoded(candidate, POSITIVE), labels)
    assert shadowing.drain(30)
    assert (shadowing.failures, shadowing.texts) == (1, 0)


def test_token_ids_of_another_tokenizer_are_a_failure_and_no_exception(
    shadowing: Shadowing, candidate: Predictor
) -> None:
    shadowing.submit(candidate, [Encoded((np.array([10**6], np.int32),), 1)], ["positive"])
    assert shadowing.drain(30)
    assert shadowing.failures == 1


def test_a_report_that_raises_is_a_failure_and_the_next_request_is_scored(candidate: Predictor, live_logs: Any) -> None:
    reports: list[int] = []

    def report(version: str, texts: int, disagreements: int, largest: float) -> None:
        reports.append(texts)
        if len(reports) == 1:
            raise OSError("no space left for logs")

    shadowing = Shadowing(report, logger=Logger(service="report", stream=live_logs.stream))
    for _ in range(2):
        shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["positive"])
    assert shadowing.drain(30)
    assert (reports, shadowing.failures) == ([1, 1], 1)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted_and_nobody_waits(
    shadowing: Shadowing,
    candidate: Predictor,
    reported: list[tuple[str, int, int, float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    held: Any = Held(candidate)
    encoded = _encoded(candidate, POSITIVE)
    shadowing.submit(held, encoded, ["positive"])
    assert held.asked.wait(30)
    started = time.perf_counter()
    for _ in range(QUEUE + 5):
        shadowing.submit(held, encoded, ["positive"])
    assert time.perf_counter() - started < 5
    assert shadowing.dropped == 5
    assert capsys.readouterr().out.count('"ShadowDropped":1') == 5
    assert not shadowing.drain(0.01)
    held.go_on.set()
    assert shadowing.drain(30)
    assert len(reported) == shadowing.texts == QUEUE + 1


def test_no_thread_starts_before_the_first_request_and_one_serves_all(
    shadowing: Shadowing, candidate: Predictor
) -> None:
    def threads() -> int:
        return sum(thread.name == "shadow" for thread in threading.enumerate())

    before = threads()
    Shadowing(lambda *_: None)
    assert threads() == before
    for _ in range(10):
        shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["positive"])
    assert threads() == before + 1


def test_many_threads_may_submit(shadowing: Shadowing, candidate: Predictor) -> None:
    encoded = _encoded(candidate, POSITIVE)

    def submit() -> None:
        for _ in range(10):
            shadowing.submit(candidate, encoded, ["positive"])

    submitting = [threading.Thread(target=submit) for _ in range(4)]
    for thread in submitting:
        thread.start()
    for thread in submitting:
        thread.join()
    assert shadowing.drain(30)
    assert shadowing.texts + shadowing.dropped == 40


def test_a_candidate_is_let_go_of_once_it_has_scored(tiny_artifact: Path, shadowing: Shadowing) -> None:
    candidate = load_predictor(tiny_artifact)
    shadowing.submit(candidate, _encoded(candidate, POSITIVE), ["positive"])
    assert shadowing.drain(30)
    gone = weakref.ref(candidate)
    del candidate
    assert gone() is None
