"""A deployment's own metrics: written as functions/predict writes them, read back as what a request takes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto
import pytest
from moto.cloudwatch.models import Statistics

from functions.predict.telemetry import NAMESPACE as WRITTEN
from model_build.reporting.cost_cloudwatch import NAMESPACE, read_traffic
from slipway.prices import PriceError

NOW = datetime.now(UTC)


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Moto's, which is taught percentiles: it knows sums and counts only."""
    known = Statistics.get_statistics_for_type

    def with_p50(self: Statistics, stat: str) -> Any:
        values = sorted(self.metric_single_values_list)
        return values[len(values) // 2] if stat == "p50" else known(self, stat)

    monkeypatch.setattr(Statistics, "get_statistics_for_type", with_p50)
    with moto.mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-west-1")


def put(client: Any, model: str, milliseconds: float, texts: int, tokens: int, *, hours_ago: float = 1.5) -> None:
    """One request, as CloudWatch takes it out of the log."""
    values = {"Latency": milliseconds, "Texts": texts, "Tokens": tokens}
    data = [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "service", "Value": model}],
            "Timestamp": NOW - timedelta(hours=hours_ago),
            "Value": value,
            "Unit": "Milliseconds" if name == "Latency" else "Count",
        }
        for name, value in values.items()
    ]
    client.put_metric_data(Namespace=WRITTEN, MetricData=data)


def test_it_is_read_where_the_function_writes() -> None:
    assert NAMESPACE == WRITTEN


def test_requests_texts_tokens_mean_and_median(cloudwatch: Any) -> None:
    for milliseconds, texts, tokens in [(4, 1, 30), (6, 1, 34), (20, 4, 128)]:
        put(cloudwatch, "demo", milliseconds, texts, tokens)
    put(cloudwatch, "other", 900, 50, 5_000)
    put(cloudwatch, "demo", 900, 50, 5_000, hours_ago=30)
    found = read_traffic("demo", hours=24, region="eu-west-1")
    assert (found.requests, found.texts, found.tokens) == (3, 6, 192)
    assert (found.mean_ms, found.p50_ms) == (10, 6)


def test_the_mean_request_is_brought_to_one_vcpu(cloudwatch: Any) -> None:
    put(cloudwatch, "demo", 20, 2, 64)
    work = read_traffic("demo", region="eu-west-1").work(1769 // 2)
    assert (work.tokens, work.texts, work.overhead_ms) == (32, 2, 0)
    assert work.milliseconds == pytest.approx(10, rel=1e-2)


def test_the_median_of_hours_weighs_requests(cloudwatch: Any) -> None:
    for _ in range(5):
        put(cloudwatch, "demo", 3, 1, 8, hours_ago=2.5)
    put(cloudwatch, "demo", 50, 1, 8, hours_ago=5.5)
    assert read_traffic("demo", region="eu-west-1").p50_ms == 3


@pytest.mark.parametrize(("model", "region"), [("demo", "us-east-1"), ("unknown", "eu-west-1")])
def test_nothing_there_is_said_so(cloudwatch: Any, model: str, region: str) -> None:
    put(cloudwatch, "demo", 4, 1, 8)
    with pytest.raises(PriceError, match=rf"{model}.*24 h.*--region"):
        read_traffic(model, region=region)


def test_what_aws_refuses_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(PriceError, match=r"CloudWatch cannot be read.*GetMetricData"):
        read_traffic("demo", region="eu-west-1")
