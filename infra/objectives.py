"""The service's objectives, and the alarms that say that they are being missed: docs/observability.md.

Availability is burn rates over pairs of windows, after chapter 5 of Google's "The Site Reliability Workbook": a rate of
1 uses up exactly the errors that 30 days may have. The long window says that it matters, the short one that it still
goes on. A day is the longest window that CloudWatch's alarms know: of the workbook's three pairs the last, of three
days, is one of a day at three times the rate, a tenth of the month's errors either way.
"""

from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import alarm_at
from infra.runbook import in_section

AVAILABILITY = 0.999
FEWEST = 10  # errors in the long window: below, one bad request of a quiet night would wake somebody


class Burn(NamedTuple):
    """A rate at which the errors of a month are used up, and the windows in minutes over which it is watched."""

    name: str
    rate: float
    long: int
    short: int
    says: str


BURNS = (
    Burn("Fast burn", 14.4, 60, 5, "in an hour 2 % of the errors that a month may have"),
    Burn("Slow burn", 6, 360, 30, "in six hours 5 % of the errors that a month may have"),
    Burn("Creeping burn", 3, 1440, 120, "in a day 10 % of the errors that a month may have"),
)
_SLOW = (60, 5)  # minutes


class Objectives(Construct):
    """``alarms``, one for each rate of burning and one for answers that take long, over the API named ``api_name``.

    ``slow_ms`` is what 99 % of the requests are to be answered within, as API Gateway measures them.
    """

    def __init__(self, scope: Construct, construct_id: str, *, api_name: str, stage: str, slow_ms: int) -> None:
        super().__init__(scope, construct_id)
        self._dimensions = {"ApiName": api_name, "Stage": stage}
        self._api_name = api_name
        self.alarms = [*(self._burning(burn) for burn in BURNS), self._slow(slow_ms)]

    def _burning(self, burn: Burn) -> cloudwatch.CompositeAlarm:
        threshold = burn.rate * (1 - AVAILABILITY)
        errors = self._metric("5XXError", "Sum", burn.long)
        requests = self._metric("Count", "Sum", burn.long)
        much = cloudwatch.MathExpression(
            expression=f"IF(errors >= {FEWEST}, errors / requests, 0)",
            using_metrics={"errors": errors, "requests": requests},
            period=cdk.Duration.minutes(burn.long),
            label="part of the requests that fail",
        )
        still = self._metric("5XXError", "Average", burn.short)  # its mean is the part of the requests that fail
        says = f"{self._api_name} fails too often: {burn.says}, and still"
        return self._both(burn.name, much, still, threshold, says)

    def _slow(self, slow_ms: int) -> cloudwatch.CompositeAlarm:
        much, still = (self._metric("Latency", "p99", minutes) for minutes in _SLOW)
        says = f"{self._api_name} is slow: more than 1 % of an hour's requests took over {slow_ms} ms, and still do"
        return self._both("Slow", much, still, slow_ms, says)

    def _both(
        self, name: str, much: cloudwatch.IMetric, still: cloudwatch.IMetric, threshold: float, says: str
    ) -> cloudwatch.CompositeAlarm:
        scope = Construct(self, name)
        parts = [
            alarm_at(scope, window, metric=metric, says=f"{says} ({window})", threshold=threshold, tells=False)
            for window, metric in (("long window", much), ("short window", still))
        ]
        rule = cloudwatch.AlarmRule.all_of(
            *(cloudwatch.AlarmRule.from_alarm(part, cloudwatch.AlarmState.ALARM) for part in parts)
        )
        alarm = cloudwatch.CompositeAlarm(scope, "Alarm", alarm_rule=rule, alarm_description=says)
        in_section(scope, f"objectives-{name.lower().replace(' ', '-')}")
        return alarm

    def _metric(self, name: str, statistic: str, minutes: int) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map=self._dimensions,
            statistic=statistic,
            period=cdk.Duration.minutes(minutes),
        )
