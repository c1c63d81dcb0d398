"""API Gateway's question and the answer to it."""

import importlib
import logging
from types import ModuleType
from typing import Any

import pytest

from functions.authorize.keys import KeysUnavailable
from tests.authorize.issuer import AUDIENCE, Issuer

METHOD = "arn:aws:execute-api:eu-central-1:123456789012:abc123/prod/POST/v1/models/tickets:predict"
ALL = "arn:aws:execute-api:eu-central-1:123456789012:abc123/prod/*"


@pytest.fixture
def door(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("SLIPWAY_JWT_ISSUER", issuer.url)
    monkeypatch.setenv("SLIPWAY_JWT_AUDIENCE", f" {AUDIENCE}, another ,")
    monkeypatch.setenv("SLIPWAY_JWT_SCOPE", "")
    return importlib.reload(importlib.import_module("functions.authorize.handler"))


def ask(door: ModuleType, header: str | None) -> Any:
    event = {"type": "TOKEN", "methodArn": METHOD}
    return door.handler(event if header is None else {**event, "authorizationToken": header}, None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_opens_every_path_of_the_stage_and_no_other(door: ModuleType, issuer: Issuer, scheme: str) -> None:
    answer = ask(door, f"{scheme} {issuer.token()}")
    assert answer["principalId"] == "team-7"
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": ALL}
    assert "context" not in answer


def test_a_refused_token_is_an_answer_that_says_why(door: ModuleType, issuer: Issuer) -> None:
    answer = ask(door, f"Bearer {issuer.token(exp=1)}")
    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", ALL)
    assert answer["context"] == {"reason": "The token has expired."}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"])
def test_what_is_no_bearer_token_is_refused(door: ModuleType, header: str | None) -> None:
    assert ask(door, header)["policyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_the_log_says_why_and_has_nothing_of_the_token(
    door: ModuleType, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.token(aud="billing", sub="somebody@example.org")
    with caplog.at_level(logging.INFO):
        ask(door, f"Bearer {token}")
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "another audience" in logged
    assert not [part for part in (*token.split("."), "somebody") if part in logged]


def test_an_issuer_that_cannot_be_asked_is_an_error_and_no_refusal(
    door: ModuleType, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(issuer.answers, "/keys", (503, {}))
    with pytest.raises(KeysUnavailable):
        ask(door, f"Bearer {issuer.token()}")
