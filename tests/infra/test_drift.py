"""What looks for drift may read one log and one model, write its windows, and is told when it fails."""

import json

import pytest

from slipway.settings.drift import DriftSettings
from tests.infra.conftest import Assembly


@pytest.fixture
def drift(aws: Assembly) -> Assembly:
    return aws.part("*-drift")


def test_it_runs_at_five_past_each_hour(drift: Assembly) -> None:
    rule = drift.properties("AWS::Events::Rule")
    assert rule["ScheduleExpression"] == "cron(5 * * * ? *)"
    (target,) = rule["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 2}


def test_the_function_finds_its_settings_and_the_layer(drift: Assembly) -> None:
    function = drift.properties("AWS::Lambda::Function")
    variables = function["Environment"]["Variables"]
    known = DriftSettings.from_env(
        {name: value if isinstance(value, str) else "x" for name, value in variables.items()}
    )
    assert (known.model, known.stage) == ("tickets", "prod")
    assert len(function["Layers"]) == 1
    assert "ServingLogs" in json.dumps(variables["SLIPWAY_LOG_GROUP"])


def test_it_may_do_what_it_does_and_nothing_else(drift: Assembly) -> None:
    statements = drift.properties("AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    allowed = {
        action: json.dumps(statement["Resource"])
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert set(allowed) == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "logs:FilterLogEvents"),
        *("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
        *("s3:ListBucket", "s3:GetObject", "s3:PutObject", "cloudwatch:PutMetricData"),
    }
    assert "/drift/tickets/*" in allowed["s3:PutObject"]
    assert "models/" not in allowed["s3:PutObject"]
    assert "ServingLogs" in allowed["logs:FilterLogEvents"]
    (put,) = [s for s in statements if s["Action"] == "cloudwatch:PutMetricData"]
    assert put["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Slipway"}}


def test_drift_and_a_function_that_fails_raise_an_alarm(drift: Assembly) -> None:
    alarms = {
        alarm["Properties"]["MetricName"]: alarm["Properties"] for alarm in drift.resources("AWS::CloudWatch::Alarm")
    }
    assert set(alarms) == {"Drift", "Errors"}
    drifted = alarms["Drift"]
    assert (drifted["Namespace"], drifted["Statistic"], drifted["Period"], drifted["Threshold"]) == (
        "Slipway",
        "Maximum",
        3600,
        1,
    )
    assert drifted["Dimensions"] == [{"Name": "service", "Value": "tickets-prod"}]
    assert drifted["TreatMissingData"] == "notBreaching"


def test_the_local_stage_has_it_too(local: Assembly) -> None:
    assert "Layers" not in local.part("*-drift").properties("AWS::Lambda::Function")
