"""Requests that are made to harm: each is answered by a problem document of its own status, and never by a 500."""

import json
from typing import Any

import pytest

from functions.predict.gpu import GpuFailure, read_answers
from slipway.requests import Parameters, PredictRequest

DEEP = "[" * 100_000
HUGE = "9" * 5_000
GOOD = {"label": "a", "score": 0.9, "scores": {"a": 0.9}, "tokens": 3, "truncated": False}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (DEEP, 400),
        ('{"instances": ' + DEEP, 400),
        ('{"instances": ["x"], "parameters": {"top_k": ' + HUGE + "}}", 400),
        ('{"instances": [NaN]}', 422),
        ('{"instances": [Infinity]}', 422),
        ('{"instances": ["x"], "parameters": {"abstain_below": NaN}}', 422),
        ('{"instances": ["x"], "parameters": {"top_k": 1e400}}', 422),
        ('{"instances": ["\\ud800"]}', 422),
        ('{"instances": ["x"], "__proto__": {}}', 422),
        (json.dumps({"instances": ["x"] * 1_001}), 413),
        (json.dumps({"instances": ["x" * 4_400_000]}), 413),
        (json.dumps({"instances": ["good film " * 60_000] * 2, "parameters": {"truncate": "windows"}}), 413),
    ],
)
def test_a_hostile_body_is_refused_by_its_own_status(call: Any, promoted: str, body: str, status: int) -> None:
    answer = call("POST", "/v1/models/demo:predict", body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert len(answer.body) < 2_000, "it does not come back"


def test_of_a_member_that_comes_twice_the_last_one_counts(call: Any, promoted: str) -> None:
    body = '{"instances": [1], "instances": ["a good film", "a bad film"]}'
    assert len(call("POST", "/v1/models/demo:predict", body).document["predictions"]) == 2


PATHS = ("/v1/models/{}:predict", "/v2/models/{}/infer", "/v1/models/demo/versions/{}:predict")
NAMES = ("..%2fdemo", "%2e%2e", "..", "demo%00", "demo%2f..%2fdemo", "DEMO", "d" * 3_000, "demo\n")
IDENTIFIERS = ("..", "../../models/demo", "%2e%2e%2f", "0" * 31, "0" * 33, "a" * 5_000)


def test_a_name_that_is_a_path_is_nobody_s(call: Any, promoted: str) -> None:
    for path in PATHS:
        for name in NAMES:
            body = {"instances": ["x"]} if "v1" in path else {"inputs": []}
            answer = call("POST", path.format(name), body)
            assert answer.status in (404, 422), (path, name)
            assert len(answer.body) < 2_000


def test_a_batch_s_id_that_is_a_path_is_nobody_s(call: Any, promoted: str) -> None:
    assert [call("GET", f"/v1/batches/{each}").status for each in IDENTIFIERS] == [404] * len(IDENTIFIERS)


@pytest.mark.parametrize(
    "changed",
    [
        {"score": float("nan")},
        {"scores": {"a": float("inf")}},
        {"scores": {"a": 10**400}},
        {"score": "0.9e999"},
        {"label": 3},
        {"label": ["a"]},
    ],
)
def test_an_endpoint_s_answer_that_json_or_a_caller_cannot_take_is_none(changed: dict[str, Any]) -> None:
    raw = json.dumps({"predictions": [{**GOOD, **changed}], "model_version": "v", "backend": "gpu-fp16"}).encode()
    with pytest.raises(GpuFailure, match="answer"):
        read_answers(raw, PredictRequest(["x"], Parameters(), "instances"))


def test_an_endpoint_s_answer_without_end_is_none() -> None:
    with pytest.raises(GpuFailure, match="answer"):
        read_answers(DEEP.encode(), PredictRequest(["x"], Parameters(), "instances"))
