"""One CloudWatch dashboard a model: what its API does, as whom, for how much, and what its batch jobs do.

Its metrics are AWS's own and those of functions/predict/telemetry.py, by the names there.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.settings import Deployment
from slipway.settings import service_name

_PRICES = Path(__file__).parents[1] / "layers/runtime/python/slipway/prices.json"
_REGION = "us-east-1"  # of the prices: a template knows no region
_FIVE = cdk.Duration.minutes(5)
_HALF, _THIRD = 12, 8  # of the page's 24 columns
_Metrics = Mapping[str, cloudwatch.IMetric]


class Dashboard(Construct):
    """``dashboard``, named as the API whose ``function`` answers for the model; ``workflow_arn`` scores its files."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api_name: str,
        function: lambda_.IFunction,
        workflow_arn: str,
        alarms: list[cloudwatch.IAlarm],
        deployment: Deployment,
    ) -> None:
        super().__init__(scope, construct_id)
        self._service = {"service": service_name(deployment.model, deployment.stage)}
        self._memory_gb = deployment.memory_mb / 1024
        self._gateway_of = {"ApiName": api_name, "Stage": deployment.stage}
        self._function_of = {"FunctionName": function.function_name}
        self._workflow_of = {"StateMachineArn": workflow_arn}
        self.dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=api_name, default_interval=cdk.Duration.hours(12)
        )
        if alarms:
            self.dashboard.add_widgets(cloudwatch.AlarmStatusWidget(alarms=alarms, title="Alarms", width=24, height=3))
        self.dashboard.add_widgets(self._traffic(), self._errors(), self._cost())
        self.dashboard.add_widgets(self._latency(), self._stages())
        self.dashboard.add_widgets(self._labels(), self._confidence(), self._abstentions())
        self.dashboard.add_widgets(self._versions(), self._split(), self._candidates())
        self.dashboard.add_widgets(self._starts(), self._jobs())

    # --- what comes in and goes out

    def _traffic(self) -> cloudwatch.GraphWidget:
        left = [self._gateway("Count", "Sum", "requests"), self._own("Texts", "Sum", "texts")]
        return _graph("Traffic", left, right=[self._own("Tokens", "Sum", "tokens")])

    def _errors(self) -> cloudwatch.GraphWidget:
        left: list[cloudwatch.IMetric] = [
            self._gateway("5XXError", "Sum", "5xx"),
            self._gateway("4XXError", "Sum", "4xx"),
            self._lambda("Throttles", "Sum", "throttled"),
            self._lambda("Errors", "Sum", "broken off"),
            self._each("kind", "Errors", "Sum"),
            self._each("kind", "Refusals", "Sum"),
        ]
        return _graph("Errors, by kind", left)

    def _cost(self) -> cloudwatch.GraphWidget:
        """What ``slipway cost`` reckons, without cold starts and logs."""
        services = json.loads(_PRICES.read_text())["regions"][_REGION]["services"]
        second = services["lambda_gb_second_x86_64"]["value"] * self._memory_gb
        call = services["lambda_million_requests"]["value"] + services["rest_api_million_requests"]["value"]
        metrics = {
            "milliseconds": self._lambda("Duration", "Sum", ""),
            "calls": self._lambda("Invocations", "Sum", ""),
            "texts": self._own("Texts", "Sum", ""),
        }
        spent = f"(milliseconds / 1000 * {second:.10f} * 1000000 + calls * {call:g}) / texts"
        return _graph(f"$ a million texts, at the prices of {_REGION}", [_math(spent, metrics, "$")])

    # --- how long it takes

    def _latency(self) -> cloudwatch.GraphWidget:
        left = [self._gateway("Latency", q, f"API {q}") for q in ("p50", "p90", "p99")]
        left += [self._own("Latency", q, f"model {q}") for q in ("p50", "p99")]
        return _graph("Latency, ms", left, width=_HALF)

    def _stages(self) -> cloudwatch.GraphWidget:
        """Means, since only they add up."""
        metrics = {
            "api": self._gateway("Latency", "Average", ""),
            "integration": self._gateway("IntegrationLatency", "Average", ""),
            "duration": self._lambda("Duration", "Average", ""),
            "answer": self._own("Latency", "Average", ""),
            "encode": self._own("Encode", "Average", ""),
        }
        stages = {
            "API Gateway": "api - integration",
            "Lambda and its starts": "integration - duration",
            "parse and write": "duration - answer",
            "encode": "encode",
            "run": "answer - encode",
        }
        left = [_math(told, _named_in(told, metrics), stage) for stage, told in stages.items()]
        return _graph("Latency by stage, mean ms", left, width=_HALF, stacked=True)

    def _starts(self) -> cloudwatch.GraphWidget:
        left = [self._own("ColdStart", "SampleCount", "starts")]
        return _graph("Cold starts", left, right=[self._own("ColdStart", "Average", "ms to import and load")])

    # --- what it answers

    def _labels(self) -> cloudwatch.GraphWidget:
        return _graph("Label mix, texts", [self._each("label", "Labels", "Sum")], stacked=True)

    def _confidence(self) -> cloudwatch.GraphWidget:
        return _graph("Confidence", [self._own("Confidence", q, q) for q in ("p10", "p50", "p90")])

    def _abstentions(self) -> cloudwatch.GraphWidget:
        metrics = {
            "abstained": self._metric("Slipway", "Labels", {**self._service, "label": "(abstained)"}, "Sum", ""),
            "texts": self._own("Texts", "Sum", ""),
        }
        return _graph("Abstentions, % of texts", [_math("100 * FILL(abstained, 0) / texts", metrics, "%")])

    # --- what answers

    def _versions(self) -> cloudwatch.GraphWidget:
        each = self._each("model_version,backend", "Latency", "SampleCount")
        return _graph("Requests, by version and backend", [each], stacked=True)

    def _split(self) -> cloudwatch.GraphWidget:
        metrics = {"texts": self._own("Texts", "Sum", ""), "gpu": self._own("GpuTexts", "Sum", "")}
        left: list[cloudwatch.IMetric] = [
            _math("texts - FILL(gpu, 0)", metrics, "CPU"),
            self._own("GpuTexts", "Sum", "GPU"),
        ]
        right = [self._each("kind", "GpuFallbacks", "Sum")]
        return _graph("CPU and GPU, texts; requests that fell back", left, right=right, stacked=True)

    def _candidates(self) -> cloudwatch.GraphWidget:
        names = ("CanaryFailures", "ShadowTexts", "ShadowDisagreements", "ShadowDropped", "ShadowFailures")
        return _graph("Canary and shadow", [self._each("model_version", name, "Sum") for name in names])

    def _jobs(self) -> cloudwatch.GraphWidget:
        names = ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut")
        told = [name.removeprefix("Executions") for name in names]
        left = [self._metric("AWS/States", n, self._workflow_of, "Sum", t) for n, t in zip(names, told, strict=True)]
        return _graph("Batch jobs", left)

    # --- metrics

    def _own(self, name: str, statistic: str, label: str) -> cloudwatch.Metric:
        return self._metric("Slipway", name, self._service, statistic, label)

    def _gateway(self, name: str, statistic: str, label: str) -> cloudwatch.Metric:
        return self._metric("AWS/ApiGateway", name, self._gateway_of, statistic, label)

    def _lambda(self, name: str, statistic: str, label: str) -> cloudwatch.Metric:
        return self._metric("AWS/Lambda", name, self._function_of, statistic, label)

    def _metric(
        self, namespace: str, name: str, dimensions: Mapping[str, str], statistic: str, label: str
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map=dict(dimensions),
            statistic=statistic,
            period=_FIVE,
            label=label or None,
        )

    def _each(self, dimensions: str, name: str, statistic: str) -> cloudwatch.MathExpression:
        """The metric of each value that its dimensions have had."""
        found = f'{{Slipway,service,{dimensions}}} MetricName="{name}" service="{self._service["service"]}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{found}', '{statistic}', 300)", using_metrics={}, period=_FIVE, label=""
        )


def _graph(
    title: str,
    left: Sequence[cloudwatch.IMetric],
    *,
    right: Sequence[cloudwatch.IMetric] = (),
    width: int = _THIRD,
    stacked: bool = False,
) -> cloudwatch.GraphWidget:
    axis = cloudwatch.YAxisProps(min=0, show_units=False)
    return cloudwatch.GraphWidget(
        title=title, left=[*left], right=[*right], width=width, stacked=stacked, left_y_axis=axis, right_y_axis=axis
    )


def _math(expression: str, metrics: _Metrics, label: str) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(expression=expression, using_metrics=dict(metrics), label=label, period=_FIVE)


def _named_in(expression: str, metrics: _Metrics) -> _Metrics:
    return {name: metric for name, metric in metrics.items() if name in expression.split()}
