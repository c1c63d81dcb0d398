"""A day of requests, good, bad and hostile, in one function: what it leaves behind quotes none of them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.predict import telemetry
from slipway.predictor import Predictor

TEXT, KEY, TOKEN = "Zx9secretQw", "kL3apiKeyValue7pQ", "eyJhbGciOiJub25lIn0.Xy7claims.sig"
MARKERS = (TEXT, TEXT.lower(), TEXT.encode().hex(), KEY, TOKEN)

V1, V2 = "/v1/models/demo", "/v2/models/demo"


def tensor(*texts: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}


REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", f"{V1}:predict", {"instances": [f"a {TEXT} film", {"text": TEXT}]}),
    ("POST", f"{V1}:predict", {"instances": [f"{TEXT} " * 500], "parameters": {"truncate": "windows"}}),
    ("POST", f"{V1}:predict", {"instances": [f"{TEXT} " * 500], "parameters": {"truncate": "error"}}),
    ("POST", f"{V1}:explain", {"instances": [f"a lovely {TEXT} film"]}),
    ("POST", f"{V1}:explain", {"instances": [f"a lovely {TEXT} film"], "parameters": {TEXT: 1}}),
    ("POST", f"{V2}/infer", tensor(f"a {TEXT} film")),
    ("POST", f"{V2}/infer", tensor(TEXT, {"text": TEXT})),
    ("POST", f"{V2}/infer", {"inputs": [{"name": TEXT, "datatype": TEXT, "shape": [TEXT], "data": TEXT}]}),
    ("POST", "/predict", {"inputs": TEXT}),
    ("POST", "/predict", {"inputs": [TEXT], "truncate": TEXT}),
    ("POST", f"{V1}:predict", f'{{"instances": ["{TEXT}"'),
    ("POST", f"{V1}:predict", f'{{"instances": ["{TEXT}"], "instances": ["{TEXT}"]}}'),
    ("POST", f"{V1}:predict", TEXT),
    ("POST", f"{V1}:predict", {"instances": [TEXT] * 1_001}),
    ("POST", f"{V1}:predict", {"instances": [TEXT], TEXT: TEXT}),
    ("POST", f"{V1}:predict", {"instances": [TEXT], "parameters": {"top_k": TEXT}}),
    ("POST", f"{V1}:predict", {"instances": {TEXT: TEXT}}),
    ("POST", f"{V1}:predict", {"instances": [TEXT + "\ud800"]}),
    ("POST", f"{V1}/versions/{TEXT}:predict", {"instances": [TEXT]}),
    ("POST", f"{V1}/labels/{TEXT}:predict", {"instances": [TEXT]}),
    ("POST", f"/v1/models/{TEXT}:predict", {"instances": [TEXT]}),
    ("GET", f"/{TEXT}", None),
    ("PUT", f"{V1}:predict", {"instances": [TEXT]}),
    ("GET", f"/v1/batches/{TEXT}", None),
    ("POST", "/v1/batches", {"name": TEXT}),
    ("POST", f"{V1}:predict", "[" * 5_000 + TEXT),
]


@pytest.fixture
def keyed(service: Any, caller: Callable[..., Any]) -> Any:
    """A caller whose every request has a key, a token and a query, as API Gateway passes them on."""

    def handle(event: dict[str, Any], _: object) -> dict[str, Any]:
        secret = {"x-api-key": KEY, "Authorization": f"Bearer {TOKEN}", "Cookie": f"session={TOKEN}"}
        event["headers"] |= secret
        event["multiValueHeaders"] |= {name: [value] for name, value in secret.items()}
        event["queryStringParameters"] = {"key": KEY, "text": TEXT}
        event["multiValueQueryStringParameters"] = {"key": [KEY], "text": [TEXT]}
        event["requestContext"] |= {"identity": {"apiKey": KEY, "apiKeyId": "id"}, "authorizer": {"token": TOKEN}}
        answered: dict[str, Any] = service.handle(event)
        return answered

    return caller(handle)


@pytest.fixture
def left_behind(
    logs: Any, live_logs: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], str]]:
    """Everything that the function has written so far: its logs, metrics, and what libraries write by themselves."""
    written: list[str] = []

    def read() -> str:
        captured = capfd.readouterr()
        records = [json.dumps(vars(record), default=str) for record in caplog.records]
        written.extend([captured.out, captured.err, *records])
        return "\n".join([*written, logs.stream.getvalue(), live_logs.stream.getvalue()])

    with caplog.at_level("DEBUG"):
        yield read


def test_a_day_of_requests_leaves_no_text_and_no_key_behind(
    keyed: Any, promoted: str, left_behind: Callable[[], str]
) -> None:
    statuses = [keyed(method, path, body).status for method, path, body in REQUESTS]
    assert statuses[0] == 200
    assert {200, 400, 404, 405, 413, 422} <= set(statuses)
    everything = left_behind()
    assert '"Latency"' in everything
    assert '"refused"' in everything, "it has been listened to"
    assert [marker for marker in MARKERS if marker in everything] == []


def test_a_crash_tells_where_and_not_what(
    keyed: Any, promoted: str, left_behind: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: Predictor, encoded: Any) -> Any:
        try:
            raise KeyError(f"a {TEXT} film", KEY)
        except KeyError as error:
            raise RuntimeError(f"{TEXT}: {KEY}") from error

    assert keyed(*REQUESTS[0]).status == 200, "the model is loaded, which classifies too"
    monkeypatch.setattr(Predictor, "classify", crash)
    answers = [keyed(method, path, body) for method, path, body in REQUESTS]
    assert 500 in {answer.status for answer in answers}
    assert not [a for a in answers if a.status == 500 and (TEXT in a.body or KEY in a.body)]
    everything = left_behind()
    assert '"crashed"' in everything
    assert "RuntimeError" in everything
    assert [marker for marker in MARKERS if marker in everything] == []


def test_the_shadow_is_as_silent(
    keyed: Any, store: Any, promoted: str, second: str, left_behind: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_request", {})
    store.shadow(second, 1.0, by="ada", why="")
    for method, path, body in REQUESTS:
        keyed(method, path, body)
    assert [marker for marker in MARKERS if marker in left_behind()] == []


@pytest.mark.parametrize("marker", [TEXT, KEY, TOKEN])
def test_the_listener_hears_a_leak(left_behind: Callable[[], str], marker: str) -> None:
    """Else the tests above could not fail."""
    telemetry.logger.info(f"about {marker}")
    print(marker[::-1])
    assert marker in left_behind()
    assert marker[::-1] in left_behind()
