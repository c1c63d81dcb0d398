"""Lines as functions/predict writes them, and a deployment in moto that logged them."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

import boto3
import moto
import pytest

from functions.predict import telemetry
from slipway.errors import InvalidRequest, ModelUnavailable

GROUP = "slipway-prod-demo-api-PredictServingLogs3268DA25-AbCdEfGhIjKl"
LIVE, CANARY = "20261125T221628Z-11ece9eed364", "20261126T075459Z-af7337b426c4"


def answered(version: str = LIVE, *labels: str, **fields: Any) -> telemetry.Served:
    """One request's answer of one text, or of as many as there are labels."""
    told = {"tokens": 10, "milliseconds": 4.0, "encode_ms": 1.0, "confidences": [0.9] * max(1, len(labels))}
    return telemetry.Served(version, "cpu-int8", labels or ("positive",), **{**told, **fields})  # type: ignore[arg-type]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a function printed and logged: a start, three answers, a refusal and an error."""
    monkeypatch.setattr(telemetry, "_request", {})
    monkeypatch.setattr(telemetry.logger, "service", "demo-prod")
    telemetry._answered.cache_clear()
    telemetry._told.cache_clear()
    printed = io.StringIO()
    handler = telemetry.logger.registered_handler
    before = handler.setStream(printed)  # type: ignore[attr-defined]
    context: Any = SimpleNamespace(function_name="predict", aws_request_id="c6af9ac6")
    with redirect_stdout(printed):
        assert telemetry.begin("one", context)
        telemetry.record_cold_start(480.0)
        telemetry.record(answered())
        telemetry.begin("two", context)
        telemetry.record(answered(LIVE, "positive", "negative", "", tokens=30, milliseconds=12.0))
        telemetry.record(answered(CANARY, "negative", milliseconds=8.0))
        telemetry.record_error(422, InvalidRequest("no"))
        telemetry.record_error(503, ModelUnavailable("none"))
        telemetry.record_fallback("capacity", "open")
    handler.setStream(before)  # type: ignore[attr-defined]
    telemetry._answered.cache_clear()
    telemetry._told.cache_clear()
    return printed.getvalue().splitlines()


@pytest.fixture
def logged(bucket: str, lines: list[str]) -> Iterator[Callable[..., None]]:
    """Put the lines, or others, into the log group of a stage, now or some seconds ago."""
    client = boto3.client("logs")

    def put(*others: str, group: str = GROUP, ago: float = 30) -> None:
        known = {each["logGroupName"] for each in client.describe_log_groups()["logGroups"]}
        if group not in known:
            client.create_log_group(logGroupName=group)
            client.create_log_stream(logGroupName=group, logStreamName="one")
        at = int((time.time() - ago) * 1000)
        events = [{"timestamp": at, "message": line} for line in others or lines]
        client.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    with moto.mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield put
