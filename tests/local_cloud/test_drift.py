"""The log that the deployed function wrote, read by the deployed function that looks for drift."""

import time
from pathlib import Path

import boto3
import pytest

from infra.local_cloud import LocalCloud, Outputs
from model_build import cli
from tests.conftest import tiny_rows
from tests.local_cloud.client import predict


def test_another_language_raises_the_alarm_in_the_local_cloud(
    cloud: LocalCloud, outputs: Outputs, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cloud.client_env().items():
        monkeypatch.setenv(name, value)
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    told = [output for stack in stacks for output in stack.get("Outputs", [])]
    (function,) = [output["OutputValue"] for output in told if output["OutputKey"] == "DriftFunction"]
    chinese = ["这部电影非常好看"[: 3 + index % 5] for index in range(1_500)]
    for texts in ([row["text"] for row in tiny_rows(1, 100)], chinese[:750], chinese[750:]):
        assert predict(outputs, *texts).status == 200
    command = ["drift", "--bucket", outputs.model_bucket, "--model", outputs.model, "--function", function]
    for _ in range(20):  # lines reach the log a moment after the answer
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--plot", str(tmp_path / "drift.png")])
        assert ended.value.code == 0
        alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
        if (states := [alarm["StateValue"] for alarm in alarms if alarm["MetricName"] == "Drift"]) == ["ALARM"]:
            break
        time.sleep(1)
    assert states == ["ALARM"]
