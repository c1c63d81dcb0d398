"""What a request leaves behind: one JSON line and EMF metrics, with counts and versions and never a text."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.predict import telemetry

SECRET = "Zx9secretQw"


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The EMF documents printed so far by the request under test."""

    def read() -> list[dict[str, Any]]:
        documents = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
        return [document for document in documents if "_aws" in document]

    return read


def _named(documents: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [document for document in documents if name in document]


def _declared(document: dict[str, Any]) -> dict[str, str]:
    directives = document["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: metric.get("Unit", "") for directive in directives for metric in directive["Metrics"]}


def test_an_answer_leaves_one_line_with_counts_and_the_version(call: Any, promoted: str, metrics: Any) -> None:
    call.predict("a lovely superb moving film", "a boring awful dull film", "a superb moving great film")
    documents = metrics()
    (document,) = _named(documents, "Latency")
    units = {"Latency": "Milliseconds", "Encode": "Milliseconds", "Texts": "", "Tokens": "", "Labels": ""}
    assert _declared(document) == units | {"Confidence": ""}
    assert (document["Texts"], document["Tokens"]) == (3, 21)
    assert 0 < document["Encode"] <= document["Latency"]
    assert [0.5 < each <= 1 for each in document["Confidence"]] == [True] * 3
    assert (document["level"], document["message"]) == ("INFO", "predicted")
    assert (document["model_version"], document["backend"]) == (promoted, "cpu-int8")
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Slipway"


def test_labels_are_counted_each_in_its_dimension(call: Any, promoted: str, metrics: Any) -> None:
    call.predict("a lovely superb moving film", "a boring awful dull film", "a superb moving great film")
    counted = {document["label"]: document["Labels"] for document in _named(metrics(), "Labels")}
    assert counted == {"positive": 2, "negative": 1}


def test_an_abstention_is_counted_as_one(call: Any, promoted: str, metrics: Any) -> None:
    call("POST", "/v1/models/demo:predict", {"instances": ["film"], "parameters": {"abstain_below": 1}})
    (document,) = _named(metrics(), "Labels")
    assert document["label"] == "(abstained)"


@settings(max_examples=200)
@given(label=st.text(min_size=1))
def test_a_label_in_any_script_is_a_dimension_that_cloudwatch_takes(label: str) -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        telemetry.record(telemetry.Served("v", "cpu-int8", [label], 1, 1.0))
    (document,) = _named([json.loads(line) for line in printed.getvalue().splitlines() if "_aws" in line], "Labels")
    assert document["label"].isascii()
    assert document["label"].isprintable()
    assert 1 <= len(document["label"]) <= 250


def test_every_dimension_that_is_declared_has_its_value(call: Any, promoted: str, metrics: Any) -> None:
    call.predict("a superb film")
    call("GET", "/nowhere")
    documents = metrics()
    assert {name for document in documents for name in _declared(document)} == {
        "Latency", "Encode", "Confidence", "Texts", "Tokens", "Labels", "Refusals"
    }  # fmt: skip
    for document in documents:
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for dimensions in directive["Dimensions"]:
                assert ("label" in dimensions) == ("Labels" in str(directive["Metrics"]))
                assert all(isinstance(document[name], str) and document[name] for name in dimensions)


def test_requests_are_counted_by_version_and_backend(call: Any, promoted: str, metrics: Any) -> None:
    call.predict("a superb film")
    (document,) = _named(metrics(), "Latency")
    (directive,) = [each for each in document["_aws"]["CloudWatchMetrics"] if "Latency" in str(each["Metrics"])]
    assert directive["Dimensions"] == [["service"], ["service", "model_version", "backend"]]


def test_of_many_texts_as_many_confidences_are_told_as_cloudwatch_takes(call: Any, promoted: str, metrics: Any) -> None:
    call.predict(*["a superb film"] * 101)
    (document,) = _named(metrics(), "Confidence")
    assert (document["Texts"], len(document["Confidence"])) == (101, 100)


def test_raw_scores_are_no_confidence(call: Any, promoted: str, metrics: Any) -> None:
    call("POST", "/v1/models/demo:predict", {"instances": ["film"], "parameters": {"raw_scores": True}})
    (document,) = _named(metrics(), "Latency")
    assert "Confidence" not in json.dumps(document)


def test_a_process_counts_its_own_start_once(monkeypatch: pytest.MonkeyPatch, metrics: Any) -> None:
    monkeypatch.setattr(telemetry, "_request", {})
    context: Any = SimpleNamespace(function_name="predict", aws_request_id="c6af9ac6")
    assert [telemetry.begin("one", context), telemetry.begin("two", context)] == [True, False]
    telemetry.record_cold_start(486.04)
    (document,) = metrics()
    assert (_declared(document), document["ColdStart"]) == ({"ColdStart": "Milliseconds"}, 486.0)


def test_one_request_does_not_count_for_the_next(call: Any, promoted: str, metrics: Any) -> None:
    call.predict("a film", "a film")
    metrics()
    call.predict("a film")
    (document,) = _named(metrics(), "Texts")
    assert document["Texts"] == 1


@pytest.mark.parametrize(("path", "metric"), [("/nowhere", "Refusals"), ("/v2/health/ready", "Errors")])
def test_a_refusal_is_the_callers_and_an_error_is_ours(
    call: Any, metrics: Any, logs: Any, path: str, metric: str
) -> None:
    answer = call("GET", path)
    (document,) = _named(metrics(), metric)
    assert document[metric] == 1
    assert document["kind"] == {"Refusals": "UnknownResource", "Errors": "ModelUnavailable"}[metric]
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service"], ["service", "kind"]]
    (record,) = logs.of("refused")
    assert record["status"] == answer.status


@pytest.mark.parametrize(
    ("instances", "parameters"),
    [
        ([SECRET], {}),
        ([{"text": f"a {SECRET} film"}], {}),
        ([f"{SECRET} " * 60], {"truncate": "error"}),
        ([SECRET, 5], {}),
        ([SECRET], {"truncate": SECRET}),
        ([SECRET], {"top_k": SECRET}),
        ([f"{SECRET}\ud800"], {}),
        ([SECRET] * 1_001, {}),
        ([[SECRET]], {}),
    ],
    ids=range(9),
)
def test_no_text_is_logged_or_measured_or_sent_back(
    call: Any,
    promoted: str,
    logs: Any,
    live_logs: Any,
    capsys: pytest.CaptureFixture[str],
    instances: list[Any],
    parameters: dict[str, Any],
) -> None:
    answer = call("POST", "/v1/models/demo:predict", {"instances": instances, "parameters": parameters})
    captured = capsys.readouterr()
    everything = captured.out + captured.err + logs.stream.getvalue() + live_logs.stream.getvalue() + answer.body
    assert SECRET not in everything
    assert '"Latency"' in captured.out or '"Refusals"' in captured.out, "the request was counted at all"


def test_every_line_is_json(call: Any, promoted: str, logs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call.predict("a film")
    call.predict("a\u2028film", "a\0film")
    call("GET", "/nowhere\nforged")
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(record["level"] and record["message"] for record in logs.all())
    assert [record["message"] for record in [*printed, *logs.all()] if "message" in record] == [
        "predicted", "predicted", "refused"
    ]  # fmt: skip


def test_a_field_name_that_is_no_unicode_is_still_logged(
    call: Any, promoted: str, logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call.handler(_event('{"instances": ["a"], "\\ud800": 1}'), None)
    assert logs.of("refused")
    logs.stream.getvalue().encode()


def _event(body: str) -> dict[str, Any]:
    return {
        "path": "/v1/models/demo:predict",
        "httpMethod": "POST",
        "headers": {},
        "requestContext": {"requestId": "c6af9ac6"},
        "body": body,
        "isBase64Encoded": False,
    }
