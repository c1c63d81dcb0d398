"""The HTTP surface, through API Gateway events: every answer, every status, every remedy."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.shadowing import Shadowing
from model_build.cli import app as cli
from slipway.predictor import Predictor
from slipway.settings import Settings
from slipway.store import Store
from tests.predict.conftest import settle

PREDICT = "/v1/models/demo:predict"
UNKNOWN = "20261123T120000Z-ffffffffffff"
SECRET = "Zx9secretQw"


def _problem(answer: Any, status: int, *, field: str | None = None) -> dict[str, Any]:
    """The problem document of an answer, which has every member that RFC 9457 and design.md ask for."""
    document: dict[str, Any] = answer.document
    assert (answer.status, document["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(document[name] for name in ("type", "title", "detail", "instance"))
    assert document["instance"].startswith("urn:uuid:c6af9ac6")
    assert document.get("field") == field
    return document


# --- predictions


def test_texts_are_classified_and_the_answer_says_by_what(call: Any, promoted: str) -> None:
    answer = call.predict("a lovely superb moving film", {"text": "a boring awful dull film"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document = answer.document
    assert [p["label"] for p in document["predictions"]] == ["positive", "negative"]
    assert (document["model_version"], document["backend"]) == (promoted, "cpu-int8")
    for prediction in document["predictions"]:
        assert prediction["score"] == max(prediction["scores"].values())
        assert (prediction["tokens"], prediction["truncated"]) == (7, False)


def test_a_version_in_the_path_answers_instead_of_the_live_one(call: Any, promoted: str, second: str) -> None:
    for version in (second, promoted):
        answer = call.predict("a good film", version=version)
        assert (answer.status, answer.document["model_version"]) == (200, version)


def test_an_answer_does_not_depend_on_company(call: Any, promoted: str) -> None:
    texts = [f"the film was {'very ' * i}good" for i in range(20)]
    together = call.predict(*texts).document["predictions"]
    for text, among in zip(texts, together, strict=True):
        (alone,) = call.predict(text).document["predictions"]
        assert alone["score"] == pytest.approx(among["score"], abs=1e-5)


def test_parameters_do_what_they_say(call: Any, promoted: str) -> None:
    long = "filler1 " * 40 + "awful " * 40
    (top,) = call.predict("a good film", top_k=1).document["predictions"]
    assert len(top["scores"]) == 1
    (left,) = call.predict(long, truncate="left").document["predictions"]
    assert (left["label"], left["truncated"], left["tokens"]) == ("negative", True, 82)
    _problem(call.predict("short", long, truncate="error"), 422, field="instances[1]")


def test_a_body_in_base64_is_read(call: Any, promoted: str) -> None:
    answer = call("POST", PREDICT, {"instances": ["ein schöner Film 🎉"]}, encoded=True)
    assert answer.status == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", None],
)
def test_what_curl_and_others_send_unasked_is_read(call: Any, promoted: str, content_type: str | None) -> None:
    assert call("POST", PREDICT, {"instances": ["a film"]}, content_type=content_type).status == 200


def test_an_event_without_headers_is_read(call: Any, promoted: str) -> None:
    event = {
        "path": PREDICT,
        "httpMethod": "POST",
        "headers": None,
        "multiValueHeaders": None,
        "requestContext": {"requestId": "c6af9ac6"},
        "body": '{"instances": ["a film"]}',
        "isBase64Encoded": False,
    }
    assert call.answer(event).status == 200


# --- the other dialects

TEXTS = [f"the film was {'very ' * i}good" for i in range(31)]


def test_one_text_has_one_answer_in_every_dialect_and_on_the_command_line_alone_and_in_company(
    call: Any, promoted: str, tiny_artifact: Path
) -> None:
    text = "a lovely superb moving film"
    tensor = {"name": "text", "datatype": "BYTES"}
    found = [
        call.predict(text).document["predictions"][0]["scores"]["positive"],
        call.predict(text, *TEXTS).document["predictions"][0]["scores"]["positive"],
        call("POST", "/predict", {"inputs": text}).document[0]["score"],
        call("POST", "/predict", {"inputs": [*TEXTS, text]}).document[-1][0]["score"],
        call("POST", "/v1/models/demo:explain", {"instances": [text]}).document["explanations"][0]["score"],
    ]
    for data in ([text], [*TEXTS, text]):
        command = CliRunner().invoke(cli, ["predict", *data, "--artifact", str(tiny_artifact), "--json"])
        found.append(json.loads(command.stdout)["predictions"][-1]["scores"]["positive"])
        body = {"inputs": [tensor | {"shape": [len(data)], "data": data}]}
        label, score, _ = call("POST", "/v2/models/demo/infer", body).document["outputs"]
        assert label["data"][-1] == "positive"
        found.append(score["data"][-1])
    assert found == pytest.approx([found[0]] * len(found), abs=1e-5)


def test_v2_says_what_there_is(call: Any, promoted: str, second: str) -> None:
    assert call("GET", "/v2").document["extensions"] == ["binary_tensor_data"]
    assert call("GET", "/v2/models/demo").document["versions"] == [promoted]
    assert call("GET", f"/v2/models/demo/versions/{second}").document["versions"] == [promoted, second]
    assert call("GET", f"/v2/models/demo/versions/{second}/ready").document["model_version"] == second
    _problem(call("GET", "/v2/models/other/ready"), 404, field="model")


def test_v2_takes_texts_in_binary(call: Any, promoted: str) -> None:
    text = "ein schöner Film".encode()
    raw = len(text).to_bytes(4, "little") + text
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    event = {
        "path": "/v2/models/demo/infer",
        "httpMethod": "POST",
        "headers": {"Inference-Header-Content-Length": str(len(head))},
        "requestContext": {"requestId": "c6af9ac6"},
        "body": base64.b64encode(head + raw).decode(),
        "isBase64Encoded": True,
    }
    assert call.answer(event).document["outputs"][0]["shape"] == [1]


def test_tei_says_what_there_is(call: Any, promoted: str) -> None:
    assert call("GET", "/info").document["model_sha"] == promoted
    assert call("GET", "/health").status == 200


def test_the_metadata_are_where_tf_serving_has_them(call: Any, promoted: str) -> None:
    document = call("GET", "/v1/models/demo/metadata").document
    assert document["model_spec"] == {"name": "demo", "signature_name": "", "version": promoted}


def test_a_label_in_the_path_names_a_version(call: Any, promoted: str, second: str, store: Store) -> None:
    store.canary(second, 0.01, by="ada", why="")
    call("GET", "/v2/health/ready")
    settle()
    for label, version in (("live", promoted), ("canary", second)):
        answer = call("POST", f"/v1/models/demo/labels/{label}:predict", {"instances": ["a film"]})
        assert answer.document["model_version"] == version
    states = call("GET", "/v1/models/demo").document["model_version_status"]
    assert [(s["version"], s["labels"]) for s in states] == [(promoted, ["live"]), (second, ["canary"])]


def test_words_are_explained_with_offsets_into_the_text(call: Any, promoted: str) -> None:
    text = "🎉 the  film was awful boring dull"
    explained = call("POST", "/v1/models/demo:explain", {"instances": [text]}).document["explanations"][0]
    assert all(text[word["start"] : word["end"]] == word["word"] for word in explained["words"])
    assert [word["word"] for word in explained["words"]][-3:] == ["awful", "boring", "dull"]
    assert explained["about"] == explained["label"] == "negative"


def test_an_explanation_has_its_limit(
    settings: Settings, deployment: Models, promoted: str, caller: Callable[..., Any]
) -> None:
    narrow = Service(replace(settings, max_request_tokens=40), deployment, Shadowing(print))
    tight = caller(lambda event, _: narrow.handle(event))
    texts = {"instances": ["the film was good"] * 2}
    _problem(tight("POST", "/v1/models/demo:explain", texts), 413, field="instances")
    _problem(
        tight("POST", "/v1/models/demo:explain", texts | {"parameters": {"truncate": "left"}}),
        422,
        field="parameters.truncate",
    )


def test_a_shadow_scores_what_was_answered(
    call: Any, promoted: str, second: str, store: Store, shadowing: Shadowing, logs: Any
) -> None:
    store.shadow(second, 1.0, by="ada", why="")
    call("GET", "/v2/health/ready")
    settle()
    answers = call.predict("a superb film", "an awful film").document
    assert answers["model_version"] == promoted
    assert shadowing.drain(10)
    (line,) = logs.of("shadowed")
    assert (line["model_version"], line["texts"]) == (second, 2)


# --- pages


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_is_whole_and_may_load_nothing_else(call: Any, path: str) -> None:
    answer = call("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" in answer.body


def test_the_description_of_the_api_needs_no_model(call: Any) -> None:
    assert call("GET", "/openapi.json").document["openapi"] == "3.1.0"


# --- status and health


def test_the_status_names_every_version_in_memory(call: Any, promoted: str, second: str) -> None:
    call.predict("a film", version=second)
    answer = call("GET", "/v1/models/demo")
    states = answer.document["model_version_status"]
    assert [(s["version"], s["state"], s["status"]["error_code"]) for s in states] == [
        (promoted, "AVAILABLE", "OK"),
        (second, "AVAILABLE", "OK"),
    ]
    one = call("GET", f"/v1/models/demo/versions/{second}").document["model_version_status"]
    assert [s["version"] for s in one] == [second]


def test_the_status_names_a_refused_version_with_the_reason(
    call: Any, store: Store, promoted: str, second: str, damage: Callable[..., None]
) -> None:
    damage(second)
    store.promote(second, by="ada", why="")
    served, refused = call("GET", "/v1/models/demo").document["model_version_status"]
    assert (served["version"], served["state"]) == (promoted, "AVAILABLE")
    assert (refused["version"], refused["state"]) == (second, "END")
    assert "model.int8.onnx.data" in refused["status"]["error_message"]
    assert call.predict("a film").document["model_version"] == promoted


def test_the_process_is_alive_without_a_model_and_ready_only_with_one(
    call: Any, store: Store, tiny_artifact: Path
) -> None:
    assert call("GET", "/v2/health/live").document == {"live": True}
    problem = _problem(call("GET", "/v2/health/ready"), 503)
    assert "slipway promote" in problem["remedy"]
    store.promote(store.publish(tiny_artifact), by="ada", why="")
    answer = call("GET", "/v2/health/ready")
    assert (answer.status, answer.document["ready"]) == (200, True)
    assert answer.document["model_version"] == tiny_artifact.name


def test_ready_means_that_an_inference_ran(
    call: Any, deployment: Models, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    really = Predictor.predict

    def predict(self: Predictor, texts: Any, **options: Any) -> Any:
        asked.extend(texts)
        return really(self, texts, **options)

    monkeypatch.setattr(Predictor, "predict", predict)
    assert call("GET", "/v2/health/ready").status == 200
    assert asked == [deployment.default.current().manifest.golden[0].text]


def test_a_model_that_cannot_infer_is_not_ready(call: Any, promoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("onnxruntime fell over")

    call("GET", "/v2/health/ready")
    monkeypatch.setattr(Predictor, "classify", broken)
    assert call("GET", "/v2/health/ready").status >= 500


# --- errors


def test_without_a_model_a_caller_is_told_to_come_back(call: Any) -> None:
    answer = call.predict("a film")
    _problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/other:predict"),
        ("GET", "/v1/models/other"),
        ("POST", f"/v1/models/other/versions/{UNKNOWN}:predict"),
    ],
)
def test_another_model_is_unknown_and_the_right_name_is_the_remedy(
    call: Any, promoted: str, method: str, path: str
) -> None:
    problem = _problem(call(method, path, {"instances": ["a"]}), 404, field="model")
    assert "'other'" in problem["detail"]
    assert "'demo'" in problem["remedy"]


@pytest.mark.parametrize("version", [UNKNOWN, "1", "latest"])
@pytest.mark.parametrize(("method", "verb"), [("POST", ":predict"), ("GET", "")])
def test_an_unknown_version_is_named(call: Any, promoted: str, method: str, verb: str, version: str) -> None:
    answer = call(method, f"/v1/models/demo/versions/{version}{verb}", {"instances": ["a"]})
    problem = _problem(answer, 404, field="version")
    assert version in problem["detail"]
    assert problem["remedy"]


def test_a_stranger_is_not_told_where_the_models_are_kept(call: Any, promoted: str, bucket: str) -> None:
    assert bucket not in call.predict("a", version=UNKNOWN).body


@pytest.mark.parametrize(
    "route",
    [
        f"GET {PREDICT}x",
        "POST /v1/models/a/b:predict",
        "GET /v3",
    ],
)
def test_another_route_is_unknown_and_those_that_exist_are_named(call: Any, promoted: str, route: str) -> None:
    method, path = route.split()
    answer = call(method, path, {"instances": ["a"]})
    problem = _problem(answer, 404)
    assert problem["remedy"]


@pytest.mark.parametrize(
    ("route", "allowed"),
    [
        (f"PUT {PREDICT}", "POST"),
        ("DELETE /v1/models/demo", "GET"),
        ("POST /v2/health/live", "GET"),
        ("GET /predict", "POST"),
        ("DELETE /", "GET, POST"),
    ],
)
def test_another_method_is_told_which_ones_there_are(call: Any, promoted: str, route: str, allowed: str) -> None:
    answer = call(*route.split(), {"instances": ["a"]})
    _problem(answer, 405)
    assert answer.headers["allow"] == allowed


def test_seven_megabytes_are_too_large(call: Any, promoted: str) -> None:
    problem = _problem(call.predict("a" * 7_000_000), 413)
    assert "4,400,000" in problem["detail"]
    assert problem["remedy"]


def test_five_thousand_instances_are_too_many(call: Any, promoted: str) -> None:
    problem = _problem(call.predict(*["a"] * 5_000), 413, field="instances")
    assert "5,000" in problem["detail"]
    assert problem["remedy"]


def test_too_many_tokens_are_refused_before_the_model_runs(
    settings: Settings, deployment: Models, promoted: str, caller: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Service(replace(settings, max_request_tokens=20), deployment, Shadowing(print))
    tight = caller(lambda event, _: narrow.handle(event))
    assert tight.predict("a film", "a good film", "the film").status == 200
    monkeypatch.setattr(Predictor, "classify", lambda *_: pytest.fail("it ran"))
    problem = _problem(tight.predict(*["a good film"] * 5), 413, field="instances")
    assert "25 tokens; 20 fit" in problem["detail"]
    assert problem["remedy"]


@pytest.mark.parametrize("content_type", ["text/csv", "application/xml", "application/json; charset=latin-1"])
def test_another_content_type_is_refused(call: Any, promoted: str, content_type: str) -> None:
    problem = _problem(call("POST", PREDICT, {"instances": ["a"]}, content_type=content_type), 415)
    assert "application/json" in problem["remedy"]


@pytest.mark.parametrize(
    "body",
    [None, "", "{", "instances=a", '{"instances": ["a"', "[" * 50_000, "\ud800"],
    ids=["none", "empty", "brace", "form", "cut off", "deep", "lone surrogate"],
)
def test_a_body_that_is_not_json_is_malformed(call: Any, promoted: str, body: str | None) -> None:
    _problem(call("POST", PREDICT, body), 400)


@pytest.mark.parametrize("body", ["not base64!", "YQ", "ä", "YQ==YQ=="], ids=repr)
def test_a_body_that_is_marked_as_base64_and_is_not_is_malformed(call: Any, promoted: str, body: str) -> None:
    event = {
        "path": PREDICT,
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "requestContext": {"requestId": "c6af9ac6"},
        "body": body,
        "isBase64Encoded": True,
    }
    _problem(call.answer(event), 400)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"instances": []}, "instances"),
        ({"instances": ["a", 7]}, "instances[1]"),
        ({"instances": [{"text": None}]}, "instances[0].text"),
        ({"instances": ["a"], "parameters": {"top_k": 0}}, "parameters.top_k"),
        ({"inputs": "a"}, "inputs"),
    ],
    ids=str,
)
def test_a_wrong_value_is_unprocessable_and_its_field_named(
    call: Any, promoted: str, document: object, field: str
) -> None:
    _problem(call("POST", PREDICT, document), 422, field=field)


def test_a_field_name_that_is_no_unicode_is_answered(call: Any, promoted: str) -> None:
    assert call("POST", PREDICT, '{"instances": ["a"], "\\ud800": 1}').status == 422


_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\udc00"),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["instances", "text", "x"]), v, max_size=3),
    max_leaves=6,
)


@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(body=st.text(max_size=50) | _json.map(json.dumps) | st.lists(_json).map(lambda i: json.dumps({"instances": i})))
def test_no_body_breaks_the_function(call: Any, promoted: str, body: str) -> None:
    answer = call("POST", PREDICT, body)
    assert answer.status in (200, 400, 413, 422)
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


_KEYS = [
    "instances",
    "inputs",
    "text",
    "parameters",
    "truncate",
    "top_k",
    "name",
    "datatype",
    "shape",
    "data",
    "outputs",
]
_hostile: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\udc00", "BYTES"]),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), v, max_size=4),
    max_leaves=12,
)
_DIALECTS = {
    "/v1/models/demo:predict": ("instances", st.text(max_size=9) | _hostile),
    "/v1/models/demo:explain": ("instances", st.text(max_size=9) | _hostile),
    "/v2/models/demo/infer": (
        "inputs",
        _hostile
        | st.fixed_dictionaries({"name": st.just("text"), "datatype": _hostile, "shape": _hostile, "data": _hostile}),
    ),
    "/predict": ("inputs", st.text(max_size=9) | _hostile),
}


@pytest.mark.slow
@hypothesis_settings(
    max_examples=10_000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.sampled_from(sorted(_DIALECTS)), data=st.data())
def test_ten_thousand_hostile_bodies_are_never_our_fault(
    call: Any, promoted: str, path: str, data: st.DataObject
) -> None:
    member, item = _DIALECTS[path]
    near_miss = st.lists(item, max_size=3).map(lambda items: json.dumps({member: items}))
    body = data.draw(near_miss | _hostile.map(json.dumps) | st.text(max_size=50))
    answer = call("POST", path, body, encoded=data.draw(st.booleans()) and body.isprintable() and body.isascii())
    assert answer.status in (200, 400, 413, 422)


def test_an_unforeseen_error_tells_the_caller_nothing_of_our_insides(
    call: Any, promoted: str, monkeypatch: pytest.MonkeyPatch, logs: Any
) -> None:
    def stumble(*_: Any, **__: Any) -> None:
        raise ValueError(f"cannot handle {SECRET}")

    call.predict("a film")
    monkeypatch.setattr(Predictor, "classify", stumble)
    answer = call.predict(f"a {SECRET} film")
    problem = _problem(answer, 500)
    assert problem["remedy"]
    assert not [word for word in (SECRET, "Traceback", "ValueError", ".py", "stumble") if word in answer.body]
    (crashed,) = logs.of("crashed")
    assert crashed["error_type"] == "ValueError"
    assert any("stumble" in frame for frame in crashed["frames"])
    assert SECRET not in logs.stream.getvalue()


def test_after_an_unforeseen_error_the_function_answers_on(
    call: Any, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call.predict("a film")
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "classify", lambda *_: 1 / 0)
        assert call.predict("a film").status == 500
    assert call.predict("a film").status == 200
