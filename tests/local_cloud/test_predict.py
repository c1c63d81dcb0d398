"""Predictions and refusals over real HTTP, through API Gateway and the real runtime client."""

import json
from pathlib import Path

import numpy as np
import pytest

from infra.local_cloud import Outputs
from slipway.loading import load_predictor
from tests.local_cloud.client import get, post, predict

TEXTS = ["good film", "the plot was awful dull boring", "Ünïcödé 中文 👩🏽‍🚀", "the film " * 100]


def test_the_api_answers_what_the_artifact_says(outputs: Outputs, first: str, tiny_artifact: Path) -> None:
    answer = predict(outputs, *TEXTS)
    assert answer.status == 200, answer.body
    document = answer.json()
    assert document["model_version"] == first
    predictor = load_predictor(tiny_artifact)
    for served, local in zip(document["predictions"], predictor.predict(TEXTS), strict=True):
        scores = [served["scores"][label] for label in predictor.manifest.labels]
        assert np.allclose(scores, local.probabilities, atol=1e-5)
        assert (served["tokens"], served["truncated"]) == (local.tokens, local.truncated)
    assert [p["label"] for p in document["predictions"][:2]] == ["positive", "negative"]
    assert document["predictions"][3]["truncated"]


def test_a_version_can_be_addressed_without_being_live(outputs: Outputs, first: str, second: str) -> None:
    assert predict(outputs, "good film", version=second).json()["model_version"] == second
    assert predict(outputs, "good film").json()["model_version"] == first


def test_readiness_names_the_version(outputs: Outputs, first: str) -> None:
    answer = get(f"{outputs.api_url}/v2/health/ready", key=outputs.api_key)
    assert (answer.status, answer.json()) == (200, {"ready": True, "model_version": first})


GOOD = json.dumps({"instances": ["good film"]}).encode()


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "named"),
    [
        ("/v1/models/demo:predict", GOOD[:-1], "application/json", 400, "not JSON"),
        ("/v1/models/demo:predict", b"", "application/json", 400, "not JSON"),
        ("/v1/models/demo:predict", b'{"instances": "good film"}', "application/json", 422, "instances"),
        ("/v1/models/demo:predict", b'{"instances": ["a", 7]}', "application/json", 422, "instances[1]"),
        ("/v1/models/demo:predict", b'{"instances": [""]}', "application/json", 422, "instances[0]"),
        ("/v1/models/demo:predict", b'{"instances": ["\\ud83d"]}', "application/json", 422, "instances[0]"),
        (
            "/v1/models/demo:predict",
            json.dumps({"instances": ["a"] * 5_000}).encode(),
            "application/json",
            413,
            "5,000",
        ),
        (
            "/v1/models/demo:predict",
            json.dumps({"instances": ["a" * 7_000_000]}).encode(),
            "application/json",
            413,
            "7,0",
        ),
        ("/v1/models/demo:predict", GOOD, "text/csv", 415, "text/csv"),
        ("/v1/models/other:predict", GOOD, "application/json", 404, "other"),
        ("/v1/models/demo/versions/none:predict", GOOD, "application/json", 404, "none"),
        ("/v1/models/demo/versions/20250101T000000Z-000000000000:predict", GOOD, "application/json", 404, "20250101"),
        ("/v1/models/demo:explode", GOOD, "application/json", 404, "explode"),
    ],
)
def test_a_bad_request_gets_its_status_the_reason_and_a_remedy(
    outputs: Outputs, first: str, path: str, body: bytes, content_type: str, status: int, named: str
) -> None:
    answer = post(outputs.api_url + path, body, key=outputs.api_key, content_type=content_type)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert named in problem["detail"]
    assert {"type", "title", "instance", "remedy"} <= problem.keys()
    assert outputs.model_bucket not in answer.body.decode()


def test_what_curl_sends_unasked_is_read(outputs: Outputs, first: str) -> None:
    url = f"{outputs.api_url}/v1/models/demo:predict"
    assert post(url, GOOD, key=outputs.api_key, content_type="application/x-www-form-urlencoded").status == 200
