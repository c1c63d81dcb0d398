"""The HTTP surface of a real process: SageMaker's contract, its limits, and answers that are everyone's own."""

import contextlib
import json
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from prometheus_client.parser import text_string_to_metric_families

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.scratch import Scratch
from functions.predict.shadowing import Shadowing
from slipway.artifact import read_manifest
from slipway.settings import Settings
from slipway.store import Store
from tests.conftest import BUCKET, tiny_rows
from tests.endpoint.process import Answer, Endpoint, endpoint, ready

TEXTS = [row["text"] for row in tiny_rows(seed=5, count=60)]
V2 = "/v2/models/demo"
LINES = {"content-type": "application/jsonlines"}


def tensor(*texts: str) -> dict[str, Any]:
    return {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": [*texts]}


@pytest.fixture
def function(store: Store, tiny_artifact: Path, tmp_path: Path) -> Service:
    """The Lambda function over the same artifact."""
    store.promote(store.publish(tiny_artifact), by="ada", why="first")
    settings = Settings(model="demo", model_bucket=BUCKET)
    models = Models(settings, lambda model: Store(BUCKET, model), Scratch(tmp_path), Logger(service="endpoint"))
    return Service(settings, models, Shadowing(lambda *_: None))


def ask_function(function: Service, path: str, document: Any) -> Any:
    event = {"httpMethod": "POST", "path": path, "body": json.dumps(document), "requestContext": {"requestId": "1"}}
    return json.loads(function.handle(event)["body"])


def test_all_three_dialects_get_the_answers_that_the_function_gives(server: Endpoint, function: Service) -> None:
    bodies = [
        ("/v1/models/demo:predict", {"instances": TEXTS, "parameters": {"top_k": 1}}),
        ("/predict", {"inputs": TEXTS}),
        ("/predict", {"inputs": TEXTS[0], "raw_scores": True}),
        (f"{V2}/infer", {"id": "7", "inputs": [tensor(*TEXTS)], "outputs": [{"name": "scores"}, {"name": "tokens"}]}),
    ]
    for path, body in bodies:
        assert like(server.invoke(body).document) == like(ask_function(function, path, body))
    long = " ".join(TEXTS[:20])
    for truncation in ("left", "windows"):
        body = {"instances": [long, "good"], "parameters": {"truncate": truncation}}
        assert like(server.invoke(body).document) == like(ask_function(function, "/v1/models/demo:predict", body))


def like(document: Any) -> Any:
    """Equal where numbers differ by less than a hundred-thousandth."""
    if isinstance(document, float):
        return pytest.approx(document, abs=1e-5)
    if isinstance(document, dict):
        return {key: like(value) for key, value in document.items()}
    return [like(value) for value in document] if isinstance(document, list) else document


def test_what_answers_says_so(server: Endpoint, tiny_artifact: Path) -> None:
    manifest = read_manifest(tiny_artifact)
    answer = server.invoke({"instances": ["a superb film"]}).document
    assert answer["model_version"] == manifest.version
    assert answer["backend"] == f"cpu-{manifest.serve}"
    assert answer["predictions"][0]["tokens"] == 5
    assert answer["predictions"][0]["truncated"] is False


def test_json_lines_are_answered_line_by_line(server: Endpoint) -> None:
    lines = [{"text": TEXTS[0]}, {"inputs": TEXTS[1]}, {"instances": TEXTS[2:4]}, {"inputs": [tensor(TEXTS[4])]}]
    body = "\n".join(map(json.dumps, lines)) + "\n\n"
    answer = server.ask("POST", "/invocations", body, {**LINES, "accept": "*/*"})
    assert answer.headers["content-type"] == "application/jsonlines"
    one, two, three, four = map(json.loads, answer.body.splitlines())
    expected = server.invoke({"instances": TEXTS[:5]}).document["predictions"]
    assert (one["label"], one["model_version"]) == (expected[0]["label"], three["model_version"])
    assert two[0]["label"] == expected[1]["label"]
    assert [each["label"] for each in three["predictions"]] == [each["label"] for each in expected[2:4]]
    assert four["outputs"][0]["data"] == [expected[4]["label"]]


def test_the_open_inference_protocol_has_its_own_paths(server: Endpoint, tiny_artifact: Path) -> None:
    version = read_manifest(tiny_artifact).version
    for path in ("/v2/health/ready", f"{V2}/ready", f"{V2}/versions/{version}/ready"):
        assert server.ask("GET", path).document == {"ready": True, "model_version": version}
    assert server.ask("GET", "/v2/health/live").document == {"live": True}
    assert server.ask("GET", "/v2").document["version"] == version
    assert server.ask("GET", V2).document["inputs"][0]["name"] == "text"
    answer = server.ask("POST", f"{V2}/versions/{version}/infer", json.dumps({"inputs": [tensor("good")]}))
    assert (answer.status, answer.document["model_version"]) == (200, version)


def test_custom_attributes_come_back_with_answers_and_refusals(server: Endpoint) -> None:
    name = "x-amzn-sagemaker-custom-attributes"
    for body, status in (({"instances": ["good"]}, 200), ({"instances": []}, 422)):
        answer = server.invoke(body, X_Amzn_SageMaker_Custom_Attributes="trace=7")
        assert (answer.status, answer.headers[name]) == (status, "trace=7")
    assert name not in server.invoke({"instances": ["good"]}).headers


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "field"),
    [
        ("POST", "/invocations", b"{", {}, 400, None),
        ("POST", "/invocations", b'{"instances": ["\xff"]}', {}, 400, None),
        ("POST", "/invocations", b'{"text": "good"}', {}, 422, None),
        ("POST", "/invocations", b'{"instances": ["good", 5]}', {}, 422, "instances[1]"),
        ("POST", "/invocations", b'{"inputs": [{"name": "text"}]}', {}, 422, "inputs[0].datatype"),
        ("POST", "/invocations", b'{"inputs": "good"}', {"content-type": "text/csv"}, 415, None),
        ("POST", "/invocations", b'{"inputs": "good"}', {"content-type": "text/plain; charset=latin1"}, 415, None),
        ("POST", "/invocations", b'{"inputs": "good"}', {"accept": "text/csv"}, 415, None),
        ("POST", "/invocations", b'{"inputs": "good"}', {"content-encoding": "gzip"}, 415, None),
        ("POST", "/invocations", b'{"inputs": "good"}', {"x-timeout-ms": "soon"}, 422, "X-Timeout-Ms"),
        ("POST", "/invocations", b'{"text": "a"}\n{"text": ""}', LINES, 422, "line[2].instances[0].text"),
        ("POST", "/invocations", b"\n \n", {"content-type": "application/x-ndjson"}, 422, None),
        ("POST", "/v2/models/other/infer", b"{}", {}, 404, "model"),
        ("POST", f"{V2}/versions/1/infer", b"{}", {}, 404, "version"),
        ("GET", "/v2/models/other/ready", None, {}, 404, "model"),
        ("GET", "/invocations", None, {}, 405, None),
        ("POST", "/nowhere", b"{}", {}, 404, None),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_problem_that_names_the_field(
    server: Endpoint,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    field: str | None,
) -> None:
    answer = server.ask(method, path, body, headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.document["status"] == status
    assert answer.document.get("field") == field


def test_too_long_a_text_is_refused_if_that_was_asked_for_with_its_line(server: Endpoint) -> None:
    line = {"instances": ["good", "film " * 100], "parameters": {"truncate": "error"}}
    answer = server.ask("POST", "/invocations", json.dumps(line), LINES)
    assert (answer.status, answer.document["field"]) == (422, "line[1].instances[1]")


def test_limits_are_named(tiny_artifact: Path, tmp_path: Path) -> None:
    limits = {"max_body_bytes": 4_000, "max_instances": 20, "max_request_tokens": 300, "queue_tokens": 200}
    with endpoint(tiny_artifact, tmp_path, **limits) as running:
        ready(running)
        for instances, words in (
            (["good"] * 21, "21 texts were sent; 20 fit"),
            (["film " * 18] * 20, "400 tokens; 300 fit into one request"),
            (["film " * 18] * 12, "240 tokens; 200 fit into the queue"),
            (["film " * 1_000], "more than the 4,000 bytes"),
        ):
            answer = running.invoke({"instances": instances})
            assert (answer.status, words in answer.document["detail"]) == (413, True), answer.document
        lines = "\n".join(['{"text": "good"}'] * 21)
        answer = running.ask("POST", "/invocations", lines, LINES)
        assert answer.status == 413
        assert chunked(running, b"x" * 5_000).status == 413
        assert running.invoke({"instances": ["good"]}).status == 200


def chunked(running: Endpoint, body: bytes) -> Answer:
    """Without a length told before."""
    with contextlib.closing(running.connect()) as connection:
        connection.request("POST", "/invocations", iter([body[:3_000], body[3_000:]]), {}, encode_chunked=True)
        return Answer.read(connection.getresponse())


def test_a_refused_body_leaves_the_connection_usable(server: Endpoint) -> None:
    with contextlib.closing(server.connect()) as connection:
        for _ in range(2):
            connection.request("POST", "/invocations", b"x" * 5_500_000)
            assert Answer.read(connection.getresponse()).status == 413
        connection.request("POST", "/invocations", json.dumps({"inputs": "good"}))
        assert Answer.read(connection.getresponse()).status == 200


def test_many_clients_each_get_their_own_answers(server: Endpoint) -> None:
    expected = dict(zip(TEXTS, server.invoke({"instances": TEXTS}).document["predictions"], strict=True))

    def client(seed: int) -> int:
        chooser = random.Random(seed)
        with contextlib.closing(server.connect()) as connection:
            for _ in range(30):
                texts = chooser.choices(TEXTS, k=chooser.choice([1, 1, 1, 3, 20]))
                connection.request("POST", "/invocations", json.dumps({"instances": texts}))
                answer = Answer.read(connection.getresponse())
                assert answer.status == 200
                assert like(answer.document["predictions"]) == [expected[text] for text in texts]
        return seed

    with ThreadPoolExecutor(24) as pool:
        assert [*pool.map(client, range(24))] == [*range(24)]


def test_metrics_are_prometheus_and_count_what_happened(server: Endpoint) -> None:
    def samples() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        page = server.ask("GET", "/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=")
        families = [*text_string_to_metric_families(page.body.decode())]
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}

    before = samples()
    server.invoke({"instances": ["good film", "bad film", "dull"]})
    server.invoke({"instances": []})
    after = samples()

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0.0)

    assert grown("slipway_requests_total", route="invocations", status="200") == 1
    assert grown("slipway_requests_total", route="invocations", status="422") == 1
    assert grown("slipway_request_seconds_count", route="invocations") == 2
    assert grown("slipway_texts_total") == 3
    assert grown("slipway_tokens_total") == 4 + 4 + 3
    assert grown("slipway_batch_texts_sum") == 3
    assert grown("slipway_padded_tokens_total") >= 11
    assert sum(value - before.get(key, 0) for key, value in after.items() if key[0] == "slipway_labels_total") == 3
    assert after["slipway_queue_texts", ()] == after["slipway_queue_tokens", ()] == 0
    assert after["process_resident_memory_bytes", ()] > 1e6
    assert any(name == "slipway_model_info" and dict(labels)["model"] == "demo" for name, labels in after)


def test_a_body_that_never_comes_is_given_up(tiny_artifact: Path, tmp_path: Path) -> None:
    with endpoint(tiny_artifact, tmp_path, request_seconds=0.5) as running:
        ready(running)
        with contextlib.closing(socket.create_connection(("127.0.0.1", running.port), 30)) as raw:
            raw.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert raw.recv(100).startswith(b"HTTP/1.1 503 ")


def test_no_line_of_the_log_holds_a_text(server: Endpoint) -> None:
    server.invoke({"instances": ["unmistakable words"]})
    server.invoke({"instances": ["unmistakable words", 5]})
    server.ask("POST", "/invocations", b'{"instances": ["unmistakable words"')
    server.ask("GET", "/unmistakable")
    assert "unmistakable" not in server.log.read_text()
    assert {"listening", "serving"} <= {line["message"] for line in server.lines()}
