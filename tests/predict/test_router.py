"""Who answers: the endpoint for large requests and in heavy traffic, and the CPU whatever happens to it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from functions.predict import gpu, telemetry
from functions.predict.breaker import PAUSE
from functions.predict.models import Models
from functions.predict.router import ELSEWHERE, Routed, Router
from functions.predict.routes import Service
from functions.predict.shadowing import Shadowing
from slipway.answers import answer
from slipway.dialects import v1
from slipway.loading import load_predictor
from slipway.predictor import Predictor
from slipway.requests import Limits, Parameters, PredictRequest
from slipway.settings import Settings
from tests.predict.conftest import Clock

SETTINGS = Settings(
    model="demo", model_bucket="b", gpu_endpoint="e", gpu_tokens=100, gpu_enter_rps=1, gpu_leave_rps=0.5
)
REQUEST = PredictRequest(["a superb film", "an awful plot"], Parameters(), "instances")


class Endpoint:
    """The container's V1, in this process; ``errors`` come first, ``version`` is what it says it is."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.version = predictor.manifest.version
        self.errors: list[Exception] = []
        self.calls = 0

    def __call__(self, body: bytes) -> bytes:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        request = v1.parse(body, Limits(5_000_000, 1_000))
        predictions = self.predictor.predict(request.texts, truncation=request.parameters.truncation)
        answers = answer(predictions, self.predictor.manifest, request.parameters)
        document = {"predictions": v1.render(answers), "model_version": self.version, "backend": "gpu-fp16"}
        return json.dumps(document).encode()


@pytest.fixture(scope="module")
def predictor(tiny_artifact: Path) -> Predictor:
    return load_predictor(tiny_artifact)


@pytest.fixture
def endpoint(predictor: Predictor) -> Endpoint:
    return Endpoint(predictor)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(telemetry, "record_fallback", lambda kind, state: told.append((kind, state)))
    return told


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ask(endpoint: Endpoint, clock: Clock, told: Any) -> Callable[..., Routed | None]:
    """Route a request of ``tokens``; by default a large one."""
    router = Router(SETTINGS, endpoint, clock=clock)

    def ask(tokens: int = 1_000, request: PredictRequest = REQUEST) -> Routed | None:
        return router.predict(request, endpoint.predictor.manifest.version) if router.wants(tokens) else None

    return ask


def client_error(code: str, message: str = "", **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "InvokeEndpoint")  # type: ignore[typeddict-item]


def test_a_small_request_in_light_traffic_stays_here(ask: Any, endpoint: Endpoint) -> None:
    assert ask(tokens=99) is None
    assert endpoint.calls == 0


def test_a_large_request_goes_there_and_its_answers_are_those_of_here(ask: Any, endpoint: Endpoint) -> None:
    routed = ask(tokens=100)
    predictions = endpoint.predictor.predict(REQUEST.texts)
    assert routed == Routed(answer(predictions, endpoint.predictor.manifest, Parameters()), "gpu-fp16")


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters(top_k=1),
        Parameters(raw_scores=True),
        Parameters(abstain_below=1.0),
        Parameters(truncation="windows", top_k=2),
    ],
)
def test_whatever_is_asked_the_answer_is_the_same(ask: Any, endpoint: Endpoint, parameters: Parameters) -> None:
    request = PredictRequest(["a superb film 🎉 \u0000 “so”", "x " * 500], parameters, "instances")
    predictions = endpoint.predictor.predict(request.texts, truncation=parameters.truncation)
    assert ask(request=request).answers == answer(predictions, endpoint.predictor.manifest, parameters)


def test_in_heavy_traffic_all_go_there_until_it_is_light_again(ask: Any, endpoint: Endpoint, clock: Clock) -> None:
    routed = [ask(tokens=5) for _ in range(70)]
    assert [found is None for found in routed] == [True] * 59 + [False] * 11
    clock.advance(120)
    assert ask(tokens=5) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ValidationError", "Inference Component has no capacity to process this request."), "capacity"),
        (client_error("ModelNotReadyException"), "missing"),
        (client_error("ValidationError", "Endpoint e of account 1 not found."), "missing"),
        (client_error("AccessDeniedException"), "missing"),
    ],
)
def test_what_lasts_opens_the_breaker_at_once(
    ask: Any, endpoint: Endpoint, clock: Clock, told: Any, error: Exception, kind: str
) -> None:
    endpoint.errors = [error]
    assert ask() is None
    assert ask() is None
    assert endpoint.calls == 1
    assert told == [(kind, "open"), ("open", "open")]
    clock.advance(PAUSE)
    assert ask() is not None
    assert ask() is not None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ThrottlingException"), "throttled"),
        (client_error("ServiceUnavailable"), "throttled"),
        (client_error("ModelError", OriginalStatusCode=503), "full"),
        (client_error("ModelError", OriginalStatusCode=500), "failed"),
        (client_error("InternalFailure"), "failed"),
        (ReadTimeoutError(endpoint_url="http://x"), "timeout"),
        (ConnectTimeoutError(endpoint_url="http://x"), "timeout"),
        (EndpointConnectionError(endpoint_url="http://x"), "unreachable"),
        (OSError("reset"), "failed"),
    ],
)
def test_three_failures_in_a_row_open_it(ask: Any, endpoint: Endpoint, told: Any, error: Exception, kind: str) -> None:
    endpoint.errors = [error] * 3
    assert [ask() for _ in range(4)] == [None] * 4
    assert endpoint.calls == 3
    assert [each[0] for each in told] == [kind] * 3 + ["open"]


def test_a_request_that_it_refuses_says_nothing_of_others(ask: Any, endpoint: Endpoint, told: Any) -> None:
    endpoint.errors = [client_error("ModelError", OriginalStatusCode=422)] * 5
    assert [ask() for _ in range(5)] == [None] * 5
    assert ask() is not None
    assert told == [("refused", "closed")] * 5


def test_another_version_is_not_passed_off_as_this_one(ask: Any, endpoint: Endpoint, clock: Clock, told: Any) -> None:
    endpoint.version = "20260101T000000Z-000000000000"
    assert ask() is None
    assert ask() is None
    assert endpoint.calls == 1
    endpoint.version = endpoint.predictor.manifest.version
    clock.advance(ELSEWHERE)
    assert ask() is not None
    assert told == [("version", "closed")]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"predictions": []}', b'{"predictions": [1], "model_version": "v", "backend": "b"}', b"\xff"],
)
def test_an_answer_that_is_none_is_a_failure(raw: bytes) -> None:
    with pytest.raises(gpu.GpuFailure, match="answer"):
        gpu.predict(lambda _: raw, REQUEST)


def test_an_answer_for_fewer_texts_is_a_failure(endpoint: Endpoint) -> None:
    one = PredictRequest(REQUEST.texts[:1], Parameters(), "instances")
    with pytest.raises(gpu.GpuFailure, match="answer"):
        gpu.predict(lambda _: endpoint(gpu.to_body(one)), REQUEST)


def test_a_body_that_sagemaker_does_not_take_stays_here(endpoint: Endpoint) -> None:
    with pytest.raises(gpu.GpuFailure, match="size"):
        gpu.predict(endpoint, PredictRequest(["x" * gpu.MAX_BODY_BYTES], Parameters(), "instances"))
    assert endpoint.calls == 0


def test_a_multi_label_answer_keeps_the_labels_that_apply() -> None:
    raw = {
        "predictions": [{"label": "a", "score": 0.9, "scores": {"a": 0.9, "b": 0.6}, "labels": ["a", "b"]}],
        "model_version": "v",
        "backend": "gpu-fp16",
    }
    raw["predictions"][0] |= {"tokens": 3, "truncated": False}  # type: ignore[index]
    one = PredictRequest(["x"], Parameters(), "instances")
    (found,) = gpu.read_answers(json.dumps(raw).encode(), one).answers
    assert found.applying == ["a", "b"]


def test_over_http_the_answer_says_who_gave_it(
    settings: Settings,
    deployment: Models,
    shadowing: Shadowing,
    endpoint: Endpoint,
    promoted: str,
    caller: Callable[..., Any],
    told: Any,
) -> None:
    large = replace(settings, gpu_endpoint="e", gpu_tokens=20)
    service = Service(large, deployment, shadowing, Router(large, endpoint))
    call = caller(lambda event, _: service.handle(event))
    few, many = ["a good film"], ["a good film"] * 5
    assert call.predict(*few).document["backend"] == "cpu-int8"
    there = call.predict(*many).document
    assert (there["backend"], there["model_version"]) == ("gpu-fp16", promoted)
    endpoint.errors = [OSError("the endpoint is gone")]
    here = call.predict(*many).document
    assert here["backend"] == "cpu-int8"
    assert here["predictions"] == there["predictions"]
    named = call("POST", f"/v1/models/demo/versions/{promoted}:predict", {"instances": many}).document
    assert named["backend"] == "cpu-int8", "who names a version asks this function for it"
