"""The cdk-nag findings on the API that stay, each with its reason."""

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct

from infra.alarm_topic import AlarmTopic
from infra.batch import Batch
from infra.predict_api import PredictApi

# cdk-nag names a resource of another stack by its export. A renamed construct changes it; synthesis then says so.
BUCKET_EXPORT = "ExportsOutputFnGetAttModelStoreBucket9405F36EArn0FD5CBF9"
DATA_EXPORT = "ExportsOutputFnGetAttDataBucketE6B0FAA8Arn3FF3A9FF"


def acknowledge_predict_api(predict: PredictApi, *, stage: str, models: Sequence[str]) -> None:
    """Say why the findings on ``predict`` are right as they are."""
    for construct, rule, reason in (
        (
            predict.serving.role,
            "AwsSolutions-IAM5[Resource::*]",
            "xray:PutTraceSegments and xray:PutTelemetryRecords take no resource: AWS defines them for '*' only.",
        ),
        *(
            (
                predict.serving.role,
                f"AwsSolutions-IAM5[Resource::slipway-{stage}-store:{BUCKET_EXPORT}/models/{model}/*]",
                "Read-only, and only this model: its versions' names aren't known before they are built.",
            )
            for model in models
        ),
        *(
            (
                predict.serving.role,
                f"AwsSolutions-IAM5[Resource::slipway-{stage}-store:{BUCKET_EXPORT}/bakes/{model}/*]",
                "Write-only: what a process counted of a canary, under a name that it makes up when it starts.",
            )
            for model in models
        ),
        *(
            (predict.serving.role, rule, "Uploads to this model's inbox and the state of its jobs, nothing else.")
            for rule in _data_rules(stage, models[0])
        ),
        (
            predict.serving.function,
            "Serverless-LambdaDLQ",
            "Called synchronously by API Gateway only: the caller gets the error and no event can be lost.",
        ),
        *_api_findings(predict),
        *_door_findings(predict),
    ):
        acknowledge(construct, rule, reason)


def _api_findings(predict: PredictApi) -> tuple[tuple[Construct, str, str], ...]:
    return (
        (
            predict.api,
            "AwsSolutions-APIG2",
            "The function checks every request against the documented schema and names the offending field; a gateway "
            "validator would answer the same mistakes with less.",
        ),
        (
            predict.api,
            "AwsSolutions-APIG3",
            "A web ACL costs more a month than a small API; throttling bounds what callers use. waf=true makes one.",
        ),
        (
            predict.api,
            "AwsSolutions-APIG4",
            "Whatever it asks of its callers, the three pages for people are open, and show no model; and with "
            "keys of a usage plan, which this check does not see, no answer depends on who asks.",
        ),
        (
            predict.api,
            "AwsSolutions-COG4",
            "Machines call this API: there are no users to sign in. Tokens of Cognito are taken by our own authorizer.",
        ),
        (
            predict.api,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
            "API Gateway's one logging role of the account and region, for which AWS prescribes this policy.",
        ),
    )


def _door_findings(predict: PredictApi) -> tuple[tuple[Construct, str, str], ...]:
    door = predict.door
    if not door:
        return ()
    tracing = "X-Ray's actions take no resource: AWS defines them for '*' only."
    once = "Asked synchronously by API Gateway only: an error is the caller's to see and no event can be lost."
    return (
        (door.role, "AwsSolutions-IAM5[Resource::*]", tracing),
        (door.function, "Serverless-LambdaDLQ", once),
    )


def acknowledge(construct: Construct, rule: str, reason: str) -> None:
    """Let a finding of ``rule`` on ``construct`` stay, for ``reason``."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_alarm_topic(alarms: AlarmTopic) -> None:
    """Say why the finding on ``alarms`` is right as it is."""
    reason = "A mail that SNS cannot deliver would wait in a queue that nobody reads; CloudWatch shows the alarm too."
    acknowledge(alarms.topic, "Serverless-SNSRedrivePolicy", reason)
    reason = "CloudWatch may not use AWS's own key for SNS; kms_key=own encrypts the topic. Its mails are plain anyway."
    acknowledge(alarms.topic, "NIST.800.53.R5-SNSEncryptedKMS", reason)


def acknowledge_batch(batch: Batch, *, stage: str, model: str) -> None:
    """Say why the findings on ``batch`` are right as they are."""
    functions = (batch.start, batch.plan, batch.score, batch.finish, batch.failed)
    for step in functions:
        acknowledge(
            step.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's actions take no resource: AWS defines them for '*' only.",
        )
        for rule in _data_rules(stage, model):
            acknowledge(step.role, rule, "Only this model's files, whose names are their owners' choice.")
        reason = "A failed call is tried again by the workflow; an event that cannot be delivered has a queue."
        acknowledge(step.function, "Serverless-LambdaDLQ", reason)
    for step in (batch.start, batch.score):
        acknowledge(
            step.role,
            f"AwsSolutions-IAM5[Resource::slipway-{stage}-store:{BUCKET_EXPORT}/models/{model}/*]",
            "Read-only, and only this model: its versions' names aren't known before they are built.",
        )
    for rule in ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"):
        acknowledge(batch.start.function, rule, "The Python of all our images, with which everything is tested.")
    for rule in ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"):
        acknowledge(batch.undelivered, rule, "It is the dead-letter queue, of rules, which this check does not see.")
    _acknowledge_workflow(batch, stage, model)


def _acknowledge_workflow(batch: Batch, stage: str, model: str) -> None:
    stack = Stack.of(batch)
    for step in (batch.plan, batch.score, batch.finish):
        name = stack.get_logical_id(step.function.node.default_child)  # type: ignore[arg-type]
        reason = "The versions of a function that belongs to this workflow alone."
        acknowledge(batch.workflow, f"AwsSolutions-IAM5[Resource::<{name}.Arn>:*]", reason)
    name = stack.get_logical_id(batch.workflow.node.default_child)  # type: ignore[arg-type]
    runs = 'execution:{"Fn::Select":[6,{"Fn::Split":[":",{"Ref":"' + name + '"}]}]}'
    arn = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:" + runs
    for rule, reason in (
        (
            f"Resource::slipway-{stage}-data:{DATA_EXPORT}/jobs/{model}/*",
            "The list of a job's shards, which the map reads.",
        ),
        ("Resource::*", "The actions of X-Ray and of log delivery take no resource."),
        (f"Resource::{arn}:*", "The executions of this workflow's own map, so that it can be redriven."),
        (f"Resource::{arn}/*:*", "The executions of this workflow's own map, so that it can be redriven."),
    ):
        acknowledge(batch.workflow, f"AwsSolutions-IAM5[{rule}]", reason)


def _data_rules(stage: str, model: str) -> tuple[str, ...]:
    found = f"Resource::slipway-{stage}-data:{DATA_EXPORT}"
    return tuple(f"AwsSolutions-IAM5[{found}/{folder}/{model}/*]" for folder in ("inbox", "outbox", "jobs"))
