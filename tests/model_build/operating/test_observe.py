"""``slipway status`` and ``slipway tail`` over a deployment that moto stands for."""

import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.cloudwatch.models import Statistics

from model_build.operating.cloudwatch import from_cloudwatch
from model_build.operating.logs import follow_events
from model_build.operating.panels import figures
from model_build.operating.readings import Span, percentile
from slipway.store import Store
from tests.conftest import BUCKET
from tests.model_build.conftest import Run, assert_refused
from tests.model_build.operating.conftest import CANARY, GROUP, LIVE

IN_STORE = ("--bucket", BUCKET, "--model", "demo")
Put = Callable[..., None]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal whose width no line needs."""
    monkeypatch.setenv("COLUMNS", "200")


def test_status_says_what_serves_and_what_it_does(store: Store, tiny_artifact: Path, logged: Put, slipway: Run) -> None:
    version = store.publish(tiny_artifact)
    store.promote(version, by="ada", why="first")
    logged()
    outcome = slipway("status", *IN_STORE, "--from-logs")
    rows = {line.split()[0]: line for line in outcome.out.splitlines()}
    assert version in rows["serves"]
    assert "5 texts" in rows["requests"]
    assert "1 5xx (20%) ModelUnavailable 1" in rows["errors"]
    assert "negative 40.0%" in rows["labels"]
    assert f"{CANARY} 1" in rows["versions"]
    assert "demo in prod" in rows["model"]


def test_status_as_json_has_the_figures_and_null_for_what_was_not_measured(logged: Put, slipway: Run) -> None:
    logged("START RequestId: 1")
    document = slipway("status", *IN_STORE, "--from-logs", "--json").document
    assert (document["requests"], document["p50_ms"], document["live"], document["stage"]) == (0, None, None, "prod")


def test_the_page_is_one_file_that_loads_nothing(logged: Put, slipway: Run, tmp_path: Path) -> None:
    logged()
    page = tmp_path / "page.html"
    slipway("status", *IN_STORE, "--from-logs", "--html", page)
    html = page.read_text()
    assert html.count("<figure>") == 14
    assert "default-src 'none'" in html
    assert not [word for word in ("http:", "https:", "src=", "href=", "<script", "url(") if word in html]
    assert LIVE in html


def test_a_name_is_text_in_the_page(logged: Put, slipway: Run, tmp_path: Path, lines: list[str]) -> None:
    logged(*(line.replace('"label":"positive"', '"label":"<b>x</b>"') for line in lines))
    page = tmp_path / "page.html"
    slipway("status", *IN_STORE, "--from-logs", "--html", page)
    assert "&lt;b&gt;x&lt;/b&gt;" in page.read_text()
    assert "<b>x</b>" not in page.read_text()


def test_alarms_that_are_on_come_first(logged: Put, slipway: Run) -> None:
    logged()
    client = boto3.client("cloudwatch")
    for name, state in (
        ("slipway-prod-demo-api-Fast", "ALARM"),
        ("slipway-prod-demo-api-Slow", "OK"),
        ("other", "ALARM"),
    ):
        options: dict[str, Any] = {"MetricName": "5XXError", "Namespace": "AWS/ApiGateway", "Period": 60}
        options |= {"EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
        client.put_metric_alarm(AlarmName=name, AlarmDescription=f"{name} fails", Statistic="Sum", **options)
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
    out = slipway("status", *IN_STORE, "--from-logs").out
    assert out.startswith("ALARM slipway-prod-demo-api-Fast since ")
    assert "Slow" not in out
    assert "other fails" not in out


def test_two_stages_in_one_account_ask_which(logged: Put, slipway: Run) -> None:
    logged()
    logged("{}", group=GROUP.replace("prod", "dev"))
    logged("{}", group=GROUP.replace("demo", "demo-two"))
    assert_refused(slipway("status", *IN_STORE, "--from-logs"), "dev, prod", "--stage")
    assert slipway("status", *IN_STORE, "--from-logs", "--stage", "dev", "--json").document["requests"] == 0


def test_what_is_not_deployed_is_one_line(bucket: str, slipway: Run) -> None:
    assert_refused(slipway("status", *IN_STORE), "No deployment of 'demo'", "AWS_REGION")
    assert_refused(slipway("tail", "--model", "demo", "--stage", "qa"), "'qa'")


def test_tail_tells_a_line_a_request_and_only_errors_if_asked(logged: Put, slipway: Run) -> None:
    logged()
    told = slipway("tail", "--model", "demo", "--no-follow").out.splitlines()
    assert len(told) == 6
    errors = slipway("tail", "--model", "demo", "--no-follow", "--errors").out.splitlines()
    assert errors == told[3:]


def test_ctrl_c_leaves_tail_without_a_word(logged: Put, slipway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logged()

    def interrupted(*_: Any, **__: Any) -> Any:
        yield time.time(), '{"level":"INFO","message":"serving"}'
        raise KeyboardInterrupt

    monkeypatch.setattr("model_build.operating.logs.follow_events", interrupted)
    outcome = slipway("tail", "--model", "demo")
    assert (outcome.code, outcome.err) == (0, "")
    assert "serving" in outcome.out


def test_following_tells_each_line_once_and_late_ones_too(logged: Put) -> None:
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            logged("third", ago=10)
            logged("late", ago=12)

    logged("first", "second", ago=11)
    events = follow_events(boto3.client("logs"), GROUP, start=time.time() - 60, wait=wait)
    assert sorted(line for _, line in itertools.islice(events, 4)) == ["first", "late", "second", "third"]
    assert len(pauses) == 1


@pytest.fixture
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto is taught percentiles: it knows sums and counts only."""
    known = Statistics.get_statistics_for_type

    def taught(self: Statistics, stat: str) -> Any:
        if stat.startswith("p"):
            return percentile(self.metric_single_values_list, float(stat[1:]) / 100)
        return known(self, stat)

    monkeypatch.setattr(Statistics, "get_statistics_for_type", taught)


def test_cloudwatch_s_metrics_give_the_same_figures_as_the_lines(
    bucket: str, lines: list[str], percentiles: None
) -> None:
    from model_build.operating.lines import from_lines

    client, at = boto3.client("cloudwatch"), datetime.now(UTC)
    for line in lines:
        document = json.loads(line)
        for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                dimensions = [{"Name": name, "Value": document[name]} for name in names]
                for metric in directive["Metrics"]:
                    value = document[metric["Name"]]
                    for each in value if isinstance(value, list) else [value]:
                        datum = {"MetricName": metric["Name"], "Dimensions": dimensions, "Timestamp": at, "Value": each}
                        client.put_metric_data(Namespace="Slipway", MetricData=[datum])
    span = Span.until(time.time(), minutes=10)
    read = from_cloudwatch(client, span, service="demo-prod")
    expected = from_lines([(at.timestamp(), line) for line in lines], span, service="demo-prod")
    assert figures(read, memory_mb=1769) == figures(expected, memory_mb=1769)
    assert figures(read, memory_mb=1769).requests == 5
