"""Alarms, which are all of one kind: one look at a metric that reached a bound. infra/runbook.py says who is told."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.runbook import in_section, quiet

_PERIOD = cdk.Duration.minutes(5)


def alarm_at(
    scope: Construct,
    construct_id: str,
    *,
    metric: cloudwatch.IMetric,
    says: str,
    threshold: float = 1,
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    section: str = "",
    tells: bool = True,
) -> cloudwatch.Alarm:
    """An alarm that ``says`` what is the matter as soon as one period of ``metric`` is ``threshold`` or more.

    ``section`` of the runbook is by default named after ``scope`` and ``construct_id``; an alarm that does not ``tell``
    anybody is for a machine, or part of another one.
    """
    alarm = cloudwatch.Alarm(
        scope,
        construct_id,
        alarm_description=says,
        metric=metric,
        threshold=threshold,
        evaluation_periods=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treat_missing_data=missing,
    )
    if section:
        in_section(alarm, section)
    if not tells:
        quiet(alarm)
    return alarm


def stopped_executions(workflow: sfn.StateMachine, *, local: bool) -> cloudwatch.IMetric:
    """How many failed, ran out of time or were stopped; in the local cloud, which adds nothing up, only the first."""
    failed = workflow.metric_failed(period=_PERIOD, statistic="Sum")
    if local:
        return failed
    return cloudwatch.MathExpression(
        expression="failed + timed_out + aborted",
        using_metrics={
            "failed": failed,
            "timed_out": workflow.metric_timed_out(statistic="Sum"),
            "aborted": workflow.metric_aborted(statistic="Sum"),
        },
        period=_PERIOD,
    )
