"""What rings when a file is not scored: a job that ended without results, or an event that came to nothing."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.alarms import alarm_at
from infra.settings import Deployment

_PERIOD = cdk.Duration.minutes(5)


def batch_alarms(
    scope: Construct, *, workflow: sfn.StateMachine, undelivered: sqs.Queue, deployment: Deployment
) -> list[cloudwatch.Alarm]:
    """The alarms of one model's jobs; ``scope`` is in the names of their sections of the runbook."""
    return [
        alarm_at(
            scope,
            "Failed jobs",
            metric=_unfinished(workflow, deployment),
            says=f"A file for the model {deployment.model} was not scored: see its manifest.json",
        ),
        alarm_at(
            scope,
            "Undelivered events",
            metric=undelivered.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum"),
            says=f"An event of the model {deployment.model}, mostly of an upload, came to nothing for a day: "
            "it is kept in the queue Undelivered",
        ),
    ]


def _unfinished(workflow: sfn.StateMachine, deployment: Deployment) -> cloudwatch.IMetric:
    failed = workflow.metric_failed(period=_PERIOD, statistic="Sum")
    if deployment.local:  # which adds no metrics up
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
