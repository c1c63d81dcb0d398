"""A canary that fails costs its callers nothing but time, and everything that becomes of it is counted."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest

from functions.predict import telemetry
from functions.predict import trial as trial_module
from functions.predict.models import Models
from functions.predict.router import Router
from functions.predict.routes import Service
from functions.predict.scratch import KILLED, Scratch
from functions.predict.shadowing import Shadowing
from slipway.bakes.records import Records
from slipway.bakes.tally import Counts
from slipway.errors import InvalidRequest, StoreError
from slipway.predictor import Predictor
from slipway.releases import Live, choose_version
from slipway.settings import Settings
from slipway.store import Store
from tests.image.runtime_api import rest_event
from tests.predict.conftest import Caller, Clock, settle
from tests.predict.conftest import Records as Logs

WEIGHT = 0.999  # a request in a thousand is not the canary's; its id decides, and the tests' one is
TEXTS = ("a superb lovely great film", "the plot was awful dull poor")


@pytest.fixture
def call(service: Service, deployment: Models, store: Store, promoted: str, second: str) -> Caller:
    """A function that has loaded a canary, which nearly all requests are for."""
    store.canary(second, WEIGHT, by="ada", why="a try")
    caller = Caller(lambda event, _: service.handle(event))
    assert caller.predict(TEXTS[0]).status == 200
    settle()
    assert deployment.default.version("canary").manifest.version == second
    return caller


@pytest.fixture
def counts(service: Service, settings: Settings, store: Store, deployment: Models) -> Callable[[], Counts]:
    """What this function's process has counted by now."""

    def counted() -> Counts:
        trials = service._answering._trials
        assert trials.comparing.drain(30)
        (trial,) = trials._trials.values()
        return trial.counts

    return counted


def breaking(monkeypatch: pytest.MonkeyPatch, *versions: str, error: Exception) -> None:
    """Have these versions raise whatever they are asked."""
    classify = Predictor.classify

    def broken(self: Predictor, encoded: Any) -> Any:
        if self.manifest.version in versions:
            raise error
        return classify(self, encoded)

    monkeypatch.setattr(Predictor, "classify", broken)


def test_without_a_canary_nothing_is_counted(service: Service, promoted: str, bucket: str) -> None:
    assert Caller(lambda event, _: service.handle(event)).predict(TEXTS[0]).status == 200
    assert "_trials" not in vars(service._answering)
    assert not boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="bakes/").get("Contents")


def test_answers_are_counted_by_who_gave_them_and_compared(
    call: Caller, counts: Callable[[], Counts], second: str
) -> None:
    for text in TEXTS * 10:
        assert call.predict(text).document["model_version"] == second
    found = counts()
    assert (found.canary.requests, found.canary.failures, found.canary.timed()) == (20, 0, 20)
    assert found.live.requests == 1  # while the canary was being loaded
    assert (found.compared, found.disagreements) == (2, 0)  # a tenth of all requests


def test_where_the_canary_raises_the_live_version_answers(
    call: Caller,
    counts: Callable[[], Counts],
    promoted: str,
    second: str,
    monkeypatch: pytest.MonkeyPatch,
    logs: Logs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    breaking(monkeypatch, second, error=RuntimeError("a secret of the text"))
    answer = call.predict(TEXTS[0])
    assert (answer.status, answer.document["model_version"]) == (200, promoted)
    assert (counts().canary.requests, counts().canary.failures) == (1, 1)
    (told,) = logs.of("canary failed")
    assert (told["model_version"], told["error_type"]) == (second, "RuntimeError")
    printed = capsys.readouterr().out
    assert '"CanaryFailures":1' in printed
    assert "secret" not in printed + json.dumps(logs.all())


def test_a_canary_that_the_last_process_did_not_survive_is_not_asked_and_that_is_said_for_good(
    settings: Settings, store: Store, promoted: str, second: str, scratch: Scratch, clock: Clock, logs: Logs
) -> None:
    store.canary(second, WEIGHT, by="ada", why="a try")
    scratch.killers = frozenset({(settings.model, second), ("another", promoted)})
    models = Models(settings, lambda name: Store(settings.model_bucket, name), scratch, telemetry.logger, clock=clock)
    service = Service(settings, models, Shadowing(telemetry.record_shadow))
    call = Caller(lambda event, _: service.handle(event))
    for _ in range(2):
        assert call.predict(TEXTS[0]).document["model_version"] == promoted
        settle()
    (trial,) = service._answering._trials._trials.values()
    assert trial.counts.refused == KILLED
    assert [told["reason"] for told in logs.of("version refused")] == [KILLED]
    clock.advance(61)
    call.predict(TEXTS[0])  # it is loaded after this one
    settle()
    assert call.predict(TEXTS[0]).document["model_version"] == second
    assert trial.counts.refused == KILLED


def test_an_explanation_falls_back_too(
    call: Caller, counts: Callable[[], Counts], promoted: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, second, error=RuntimeError())
    answer = call("POST", "/v1/models/demo:explain", {"instances": [TEXTS[0]]})
    assert (answer.status, answer.document["model_version"]) == (200, promoted)
    assert counts().canary.failures == 1


def test_what_both_fail_at_is_counted_against_both(
    call: Caller, counts: Callable[[], Counts], promoted: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, second, promoted, error=RuntimeError())
    assert call.predict(TEXTS[0]).status == 500
    assert (counts().canary.failures, counts().live.failures) == (1, 1)


def test_what_the_caller_did_wrong_is_nobody_s_failure(call: Caller, counts: Callable[[], Counts], logs: Logs) -> None:
    long = " ".join(["film"] * 100)
    assert call.predict(long, truncate="error").status == 422
    assert (counts().canary.failures, counts().live.failures) == (0, 0)
    assert logs.of("canary failed") == []


def test_a_canary_that_refuses_what_the_live_version_answers_has_failed(
    call: Caller, counts: Callable[[], Counts], promoted: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, second, error=InvalidRequest("too long for me"))
    assert call.predict(TEXTS[0]).document["model_version"] == promoted
    assert counts().canary.failures == 1


def test_a_version_that_is_addressed_has_no_way_back_and_is_not_counted(
    call: Caller, counts: Callable[[], Counts], second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(monkeypatch, second, error=RuntimeError())
    assert call.predict(TEXTS[0], version=second).status == 500
    assert counts().canary.requests == 0


def test_one_text_of_a_request_is_compared_whatever_the_caller_abstains_from(
    service: Service, call: Caller, counts: Callable[[], Counts], store: Store, second: str, clock: Any
) -> None:
    store.canary(second, 0.0999, by="ada", why="all of its answers are compared")
    live = store.live()
    assert live
    _poll(service, clock)
    for number in range(200):
        document = {"instances": [*TEXTS] * 3, "parameters": {"abstain_below": 1.0}}
        event = {
            "path": "/v1/models/demo:predict",
            "httpMethod": "POST",
            "headers": {"X-Request-Id": str(number)},
            "requestContext": {"requestId": "api"},
            "body": json.dumps(document),
        }
        assert service.handle(event)["statusCode"] == 200
        service._answering._trials.comparing.drain(30)
    found = counts()
    assert 5 < found.canary.requests < 50
    assert found.compared == found.canary.requests
    assert found.live.requests + found.canary.requests == 201  # with the one that found the new pointer


def test_a_version_that_cannot_be_loaded_is_told_to_the_bake(
    service: Service,
    store: Store,
    promoted: str,
    second: str,
    damage: Callable[..., None],
    counts: Callable[[], Counts],
) -> None:
    damage(second)
    store.canary(second, WEIGHT, by="ada", why="damaged")
    caller = Caller(lambda event, _: service.handle(event))
    assert caller.predict(TEXTS[0]).status == 200
    settle()
    assert caller.predict(TEXTS[0]).document["model_version"] == promoted
    assert "is damaged" in counts().refused


def test_a_request_that_the_gpu_has_or_would_have_is_no_time_of_either_and_no_candidate_is_asked_for_there(
    settings: Settings, deployment: Models, shadowing: Shadowing, store: Store, promoted: str, second: str
) -> None:
    """Else the canary, which CPUs answer for, would look slow wherever the endpoint takes the large ones."""
    asked = []

    def invoke(body: bytes) -> bytes:
        asked.append(body)
        raise OSError("gone")

    given = replace(settings, gpu_endpoint="e", gpu_tokens=20)
    service = Service(given, deployment, shadowing, Router(given, invoke))
    call = Caller(lambda event, _: service.handle(event))
    few, many = TEXTS[:1], [TEXTS[0]] * 8
    store.canary(second, 0.5, by="ada", why="a try")
    call.predict(*few)
    settle()
    ids = {choose_version(_pointer(store), str(n)): str(n) for n in range(64)}  # one of each version
    for texts in (few, many):
        for version, request_id in ids.items():
            event = rest_event("POST", "/v1/models/demo:predict", {"instances": [*texts]})
            event["headers"]["X-Request-Id"] = request_id
            assert json.loads(service.handle(event)["body"])["model_version"] == version
    (trial,) = service._answering._trials._trials.values()
    canary, live = trial.counts.canary, trial.counts.live
    assert (canary.requests, canary.timed()) == (2, 1)
    assert (live.requests, live.timed()) == (3, 2)  # with the one that found the pointer
    assert len(asked) == 1


def test_what_is_compared_late_is_the_canary_s_that_gave_the_answer(
    service: Service, call: Caller, counts: Callable[[], Counts], store: Store, second: str, another: Any, clock: Any
) -> None:
    """A process may be frozen with a comparison until the next canary is there."""
    trials = service._answering._trials
    waiting: list[Callable[[], None]] = []

    def later(*job: Any) -> None:
        waiting.append(lambda: job[-1]("live", 1, 1, 0.5))

    trials.comparing.submit = later  # type: ignore[method-assign]
    for _ in range(10):
        call.predict(TEXTS[0])
    (first,) = trials._trials.values()
    store.canary(another(3), WEIGHT, by="ada", why="the next one")
    _poll(service, clock)
    for each in waiting:
        each()
    (now,) = trials._trials.values()
    assert first is not now
    assert (first.counts.disagreements, now.counts.disagreements) == (1, 0)


def _pointer(store: Store) -> Live:
    live = store.live()
    assert live
    return live


def _poll(service: Service, clock: Any) -> None:
    clock.advance(30)
    Caller(lambda event, _: service.handle(event)).predict(TEXTS[0])
    settle()


# --- records


@pytest.fixture
def trial_clock(monkeypatch: pytest.MonkeyPatch, service: Service) -> Any:
    """The seconds by which records are due."""
    clock = Clock()
    monkeypatch.setattr(service._answering._trials, "_clock", clock)
    return clock


def _written() -> None:
    for thread in threading.enumerate():
        if thread.name == "trial":
            thread.join(30)


def test_counts_are_left_in_the_bucket_every_few_seconds(
    service: Service, trial_clock: Any, call: Caller, store: Store, bucket: str, second: str
) -> None:
    pointer = store.live()
    assert pointer
    records = Records(bucket, "demo")
    call.predict(TEXTS[0])
    _written()
    assert records.total(pointer).canary.requests == 0
    trial_clock.advance(trial_module.EVERY)
    for _ in range(3):
        call.predict(TEXTS[0])
        _written()
    assert records.total(pointer).canary.requests == 2  # the next two are in the next record
    trial_clock.advance(trial_module.EVERY)
    call.predict(TEXTS[0])
    _written()
    assert records.total(pointer).canary.requests == 5


def test_a_store_that_refuses_counts_is_left_alone_for_a_minute(
    service: Service, trial_clock: Any, call: Caller, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    tries = []

    def refuse(*_: object) -> None:
        tries.append(1)
        raise StoreError("S3 refuses.")

    monkeypatch.setattr(Records, "write", refuse)
    for seconds in (trial_module.EVERY, trial_module.EVERY, trial_module.AGAIN):
        trial_clock.advance(seconds)
        assert call.predict(TEXTS[0]).status == 200
        _written()
    assert len(tries) == 2
    assert logs.of("the counts of the canary could not be written")[0]["reason"] == "S3 refuses."


def test_with_another_pointer_counting_begins_anew(
    service: Service, call: Caller, counts: Callable[[], Counts], store: Store, second: str, clock: Any
) -> None:
    call.predict(TEXTS[0])
    assert counts().canary.requests == 1
    store.canary(second, 0.998, by="bake", why="less")
    _poll(service, clock)
    call.predict(TEXTS[0])
    assert counts().canary.requests <= 2


def test_the_comparing_thread_is_not_the_shadow_s(service: Service, shadowing: Shadowing) -> None:
    assert service._answering._trials.comparing is not shadowing
