"""The alarms on the service's objectives: which windows, which rates, and that both of a pair must agree."""

import json
from typing import Any

import pytest

from infra.objectives import BURNS
from infra.serving_alarms import REFUSED
from tests.infra.conftest import ROOT, Assembly

MONTH = 30 * 24 * 60  # minutes


@pytest.fixture
def api(aws: Assembly) -> Assembly:
    return aws.part("*-tickets-api")


def _measured(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    return [metric for metric in alarm.get("Metrics", []) if "MetricStat" in metric]


def _windows(api: Assembly, says: str) -> dict[int, dict[str, Any]]:
    """The alarms of one pair, by their minutes."""
    found = {}
    for alarm in api.resources("AWS::CloudWatch::Alarm"):
        properties = alarm["Properties"]
        if says in properties["AlarmDescription"]:
            periods = {
                metric["MetricStat"]["Period"] for metric in properties.get("Metrics", []) if "MetricStat" in metric
            }
            (period,) = periods or {properties["Period"]}
            found[period // 60] = properties
    return found


@pytest.mark.parametrize("burn", BURNS, ids=lambda burn: burn.name)
def test_both_windows_of_a_burn_have_its_rate(api: Assembly, burn: Any) -> None:
    windows = _windows(api, f"{burn.says}, and still (")
    assert set(windows) == {burn.long, burn.short}
    assert all(w["Threshold"] == pytest.approx(burn.rate / 1000) for w in windows.values())
    assert all(w["TreatMissingData"] == "notBreaching" and w["EvaluationPeriods"] == 1 for w in windows.values())
    short = windows[burn.short]
    assert (short["MetricName"], short["Statistic"]) == ("5XXError", "Average")


@pytest.mark.parametrize(("name", "spent"), [("Fast burn", 0.02), ("Slow burn", 0.05), ("Creeping burn", 0.1)])
def test_a_burn_uses_up_the_part_of_the_month_that_it_says(name: str, spent: float) -> None:
    (burn,) = [each for each in BURNS if each.name == name]
    assert burn.rate * burn.long / MONTH == pytest.approx(spent)
    assert f"{100 * spent:g} %" in burn.says
    assert burn.long == 12 * burn.short
    assert burn.long <= 1440, "CloudWatch looks back a day at most"


def test_a_few_errors_of_a_quiet_night_wake_nobody(api: Assembly) -> None:
    long = _windows(api, f"{BURNS[0].says}, and still (")[60]
    (math,) = [metric for metric in long["Metrics"] if "Expression" in metric]
    assert math["Expression"] == "IF(errors >= 10, errors / requests, 0)"
    counted = {
        metric["Id"]: metric["MetricStat"]["Metric"]["MetricName"]
        for metric in long["Metrics"]
        if "MetricStat" in metric
    }
    assert counted == {"errors": "5XXError", "requests": "Count"}


def test_both_windows_must_agree(api: Assembly) -> None:
    rules = [json.dumps(alarm["Properties"]["AlarmRule"]) for alarm in api.resources("AWS::CloudWatch::CompositeAlarm")]
    assert len(rules) == 4
    assert all(rule.count("ALARM(") == 2 and " AND " in rule for rule in rules)


def test_slow_is_the_99th_percentile_at_the_gateway(api: Assembly) -> None:
    windows = _windows(api, "is slow: more than")
    assert set(windows) == {60, 5}
    assert {(w["MetricName"], w["ExtendedStatistic"], w["Threshold"]) for w in windows.values()} == {
        ("Latency", "p99", 1000)
    }


def test_the_local_cloud_which_takes_none_of_them_has_none(local: Assembly) -> None:
    assert local.part("*-api").resources("AWS::CloudWatch::CompositeAlarm") == []
    assert local.part("*-api").resources("AWS::CloudWatch::Alarm") == []


def test_a_version_that_functions_refuse_is_told_by_the_line_that_they_log(api: Assembly) -> None:
    (found,) = api.resources("AWS::Logs::MetricFilter")
    assert found["Properties"]["FilterPattern"] == f'{{ $.message = "{REFUSED}" }}'
    assert f'"{REFUSED}"' in (ROOT / "functions/predict/loading.py").read_text()
    name = found["Properties"]["MetricTransformations"][0]["MetricName"]
    assert name in {alarm["Properties"].get("MetricName") for alarm in api.resources("AWS::CloudWatch::Alarm")}
