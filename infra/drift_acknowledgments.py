"""The cdk-nag findings on what looks for drift that stay, each with its reason."""

from typing import TYPE_CHECKING

from infra.acknowledgments import BUCKET_EXPORT, acknowledge
from infra.settings import Deployment

if TYPE_CHECKING:
    from infra.drift import Drift


def acknowledge_drift(drift: "Drift", *, deployment: Deployment) -> None:
    """Say why the findings on ``drift`` are right as they are."""
    bucket = f"AwsSolutions-IAM5[Resource::slipway-{deployment.stage}-store:{BUCKET_EXPORT}"
    for construct, rule, reason in (
        (
            drift.role,
            "AwsSolutions-IAM5[Resource::*]",
            "The actions of X-Ray take no resource, and neither does PutMetricData, which a namespace bounds.",
        ),
        (
            drift.role,
            f"{bucket}/models/{deployment.model}/*]",
            "Read-only, and only this model: its versions' names aren't known before they are built.",
        ),
        (
            drift.role,
            f"{bucket}/drift/{deployment.model}/*]",
            "Only this model's windows, one an hour and version, whose names aren't known beforehand.",
        ),
        (drift.function, "AwsSolutions-L1", "The Python of all our images, with which everything is tested."),
        (
            drift.function,
            "Serverless-LambdaLatestVersion",
            "The Python of all our images, with which everything is tested.",
        ),
        (
            drift.function,
            "Serverless-LambdaDLQ",
            "An hour that is lost raises an alarm, and the next one comes: there is nothing to keep in a queue.",
        ),
        (
            drift.rule,
            "Serverless-EventBusDLQ",
            "An hour that is lost raises an alarm, and the next one comes: there is nothing to keep in a queue.",
        ),
    ):
        acknowledge(construct, rule, reason)
