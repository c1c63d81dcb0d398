"""Where alarms are told: one SNS topic a model, and whoever subscribes to it."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.settings import Deployment


class AlarmTopic(Construct):
    """``topic``, which mails to ``deployment.alarm_email``: SNS asks there first whether that is wanted.

    Not encrypted with AWS's own key for SNS, which CloudWatch may not use: an alarm says nothing that is secret.
    """

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", topic_name=_topic_name(deployment), enforce_ssl=True)
        self.topic.add_subscription(subscriptions.EmailSubscription(deployment.alarm_email))
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )


def topic_of(scope: Construct, deployment: Deployment) -> sns.ITopic | None:
    """The topic as another stack names it, without importing it; None where nobody is to be told."""
    if not deployment.alarm_email:
        return None
    arn = cdk.Stack.of(scope).format_arn(service="sns", resource=_topic_name(deployment))
    return sns.Topic.from_topic_arn(scope, "AlarmTopic", arn)


def _topic_name(deployment: Deployment) -> str:
    return f"slipway-{deployment.stage}-{deployment.model}-alarms"
