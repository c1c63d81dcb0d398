"""Alarms on the serving function: why the objectives are missed, or will be."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.alarms import alarm_at
from infra.settings import Deployment

_FIVE = cdk.Duration.minutes(5)
_FEWEST = 5  # in five minutes: callers try again, and one request is no reason to wake anybody


class ServingAlarms(Construct):
    """``alarms`` on ``function``, which answers for the model of ``deployment``."""

    def __init__(
        self, scope: Construct, construct_id: str, *, function: lambda_.IFunction, deployment: Deployment
    ) -> None:
        super().__init__(scope, construct_id)
        self._model = deployment.model
        dimensions = {"FunctionName": function.function_name}
        throttles, crashes = (_sum("AWS/Lambda", name, dimensions) for name in ("Throttles", "Errors"))
        errors = _sum("Slipway", "Errors", {"service": deployment.model})
        self.alarms = [
            self._alarm("Throttles", throttles, "Lambda refuses requests for"),
            self._alarm("Crashes", crashes, "The function breaks off or runs out of time for"),
            self._alarm("Errors", errors, "The function answers with 5xx for"),
        ]

    def _alarm(self, name: str, metric: cloudwatch.IMetric, says: str) -> cloudwatch.Alarm:
        return alarm_at(self, name, metric=metric, says=f"{says} the model {self._model}", threshold=_FEWEST)


def _sum(namespace: str, name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace, metric_name=name, dimensions_map=dimensions, statistic="Sum", period=_FIVE
    )
