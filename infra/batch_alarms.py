"""What rings when a file is not scored: a job that ended without results, or an event that came to nothing."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.alarms import alarm_at, stopped_executions
from infra.settings import Deployment


def batch_alarms(
    scope: Construct, *, workflow: sfn.StateMachine, undelivered: sqs.Queue, deployment: Deployment
) -> list[cloudwatch.Alarm]:
    """The alarms of one model's jobs; ``scope`` is in the names of their sections of the runbook."""
    period = cdk.Duration.minutes(5)
    return [
        alarm_at(
            scope,
            "Failed jobs",
            metric=stopped_executions(workflow, local=deployment.local),
            says=f"A file for the model {deployment.model} was not scored: see its manifest.json",
        ),
        alarm_at(
            scope,
            "Undelivered events",
            metric=undelivered.metric_approximate_number_of_messages_visible(period=period, statistic="Maximum"),
            says=f"An event of the model {deployment.model}, mostly of an upload, came to nothing for a day: "
            "it is kept in the queue Undelivered",
        ),
    ]
