"""The API's requests of a minute, counted by CloudWatch, become what the routers look at."""

import importlib
import sys
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from slipway.pulse import Pulse
from slipway.settings.release import PulseSettings
from slipway.store import Store
from tests.conftest import BUCKET

SETTINGS = PulseSettings(model="demo", model_bucket=BUCKET, api_name="slipway-prod-demo-api", api_stage="prod")


@pytest.fixture
def pulse(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in SETTINGS.to_env().items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("functions.release.pulse", None)
    yield importlib.import_module("functions.release.pulse")
    sys.modules.pop("functions.release.pulse", None)


def count(requests: int, at: float, *, api: str = "slipway-prod-demo-api") -> None:
    dimensions = [{"Name": "ApiName", "Value": api}, {"Name": "Stage", "Value": "prod"}]
    point = {
        "MetricName": "Count",
        "Dimensions": dimensions,
        "Value": requests,
        "Timestamp": datetime.fromtimestamp(at, UTC),
    }
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/ApiGateway", MetricData=[point])


def test_the_last_whole_minute_is_counted(pulse: Any, store: Store, frozen_time: float) -> None:
    end = int(frozen_time - 30) // 60 * 60
    count(3_000, end - 60)
    count(600, end - 1)
    count(9_999, end - 61)
    count(9_999, end - 30, api="another")
    assert pulse.handler({}, None) == {"requests_per_second": 60.0}
    assert store.pulse() == Pulse(60.0, at=float(end))


def test_a_minute_without_requests_is_a_pulse_as_well(pulse: Any, store: Store) -> None:
    assert store.pulse() is None
    pulse.handler({}, None)
    kept = store.pulse()
    assert kept is not None
    assert kept.requests_per_second == 0.0
    assert store.versions() == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"requests_per_second": "x", "at": 1}', b'{"at": 1}', b"\xff"])
def test_what_is_no_pulse_is_none(raw: bytes) -> None:
    assert Pulse.from_json(raw) is None


def test_numbers_that_are_none_do_not_count() -> None:
    assert Pulse.from_json(b'{"requests_per_second": NaN, "at": 1}') is None
    assert Pulse.from_json(b'{"requests_per_second": 1, "at": Infinity}') is None
