"""CloudWatch: the log that windows are read from, and the metrics that are told of them."""

from typing import Any

import boto3
from botocore.config import Config

from slipway.drift.windows import Window
from slipway.settings import service_name

NAMESPACE = "Slipway"


def log_client() -> Any:
    """Calls are counted by the account, which others make as well: it waits rather than fails."""
    return boto3.client("logs", config=Config(retries={"mode": "adaptive", "total_max_attempts": 8}))


def tell(window: Window, *, stage: str) -> None:
    """Metrics by service: how many statistics have drifted, and the index of each."""
    common = [{"Name": "service", "Value": service_name(window.model, stage)}]
    data = [{"MetricName": "Drift", "Dimensions": common, "Value": len(window.drifted), "Unit": "Count"}]
    data += [
        {
            "MetricName": "DriftIndex",
            "Dimensions": [*common, {"Name": "statistic", "Value": change.statistic}],
            "Value": change.psi,
            "Unit": "None",
        }
        for change in window.changes
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)
