"""Alarms on the serving function: why the objectives are missed, or will be."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.alarms import alarm_at
from infra.predict_function import PredictFunction
from infra.settings import Deployment
from slipway.settings import service_name

_FIVE = cdk.Duration.minutes(5)
REFUSED = "version refused"  # functions/predict/loading.py logs this
_FEWEST = 5  # in five minutes: callers try again, and one request is no reason to wake anybody


class ServingAlarms(Construct):
    """``alarms`` on ``serving``, which answers for the model of ``deployment``."""

    def __init__(
        self, scope: Construct, construct_id: str, *, serving: PredictFunction, deployment: Deployment
    ) -> None:
        super().__init__(scope, construct_id)
        self._model = deployment.model
        dimensions = {"FunctionName": serving.function.function_name}
        throttles, crashes = (_sum("AWS/Lambda", name, dimensions) for name in ("Throttles", "Errors"))
        errors = _sum("Slipway", "Errors", {"service": service_name(deployment.model, deployment.stage)})
        self.alarms = [
            self._alarm("Throttles", throttles, "Lambda refuses requests for"),
            self._alarm("Crashes", crashes, "The function breaks off or runs out of time for"),
            self._alarm("Errors", errors, "The function answers with 5xx for"),
            self._refused(serving),
        ]

    def _refused(self, serving: PredictFunction) -> cloudwatch.Alarm:
        """Nobody else notices: the version before it answers on."""
        refusals = logs.MetricFilter(
            self,
            "Refusals",
            log_group=serving.logs,
            filter_pattern=logs.FilterPattern.string_value("$.message", "=", REFUSED),
            metric_namespace="Slipway",
            metric_name=f"VersionsRefused-{cdk.Stack.of(self).stack_name}",
            metric_value="1",
        )
        says = f"A version of the model {self._model} is live or tried and functions refuse it: their log says why"
        return alarm_at(self, "Refused version", metric=refusals.metric(period=_FIVE, statistic="Sum"), says=says)

    def _alarm(self, name: str, metric: cloudwatch.IMetric, says: str) -> cloudwatch.Alarm:
        return alarm_at(self, name, metric=metric, says=f"{says} the model {self._model}", threshold=_FEWEST)


def _sum(namespace: str, name: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace, metric_name=name, dimensions_map=dimensions, statistic="Sum", period=_FIVE
    )
