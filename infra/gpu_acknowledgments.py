"""The cdk-nag findings on the GPU endpoints that stay, each with its reason."""

from typing import TYPE_CHECKING

from infra.acknowledgments import BUCKET_EXPORT, DATA_EXPORT, acknowledge
from infra.gpu_names import gpu_prefix
from infra.settings import Deployment

if TYPE_CHECKING:
    from infra.gpu_stack import GpuStack

_ARN = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:sagemaker:<AWS::Region>:<AWS::AccountId>:"


def acknowledge_gpu(gpu: "GpuStack", *, deployment: Deployment) -> None:
    """Say why the findings on ``gpu`` are right as they are."""
    container, deployed, release = gpu.container, gpu.deployed, gpu.release
    models = (
        f"AwsSolutions-IAM5[Resource::slipway-{deployment.stage}-store:{BUCKET_EXPORT}/models/{deployment.model}/*]"
    )
    for role in (container.role, deployed.role, release.roll.role):
        acknowledge(
            role, models, "Read-only, and only this model: its versions' names aren't known before they are built."
        )
    acknowledge(
        container.role,
        "AwsSolutions-IAM5[Resource::*]",
        "ecr:GetAuthorizationToken takes no resource, and neither does PutMetricData, which a namespace bounds.",
    )
    for role in (deployed.role, release.roll.role):
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "The actions of X-Ray and the lists of SageMaker take no resource: AWS defines them for '*' only.",
        )
    acknowledge(
        gpu.pulse.role, "AwsSolutions-IAM5[Resource::*]", "The actions of X-Ray and of CloudWatch take no resource."
    )
    reason = "A beat that is lost needs no queue: the next one comes in a minute."
    acknowledge(gpu.pulse.function, "Serverless-LambdaDLQ", reason)
    acknowledge(gpu.pulse.rule, "Serverless-EventBusDLQ", reason)
    for function in (deployed.function, release.roll.function, gpu.pulse.function):
        for rule in ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"):
            acknowledge(function, rule, "The Python of all our images, with which everything is tested.")
    _acknowledge_names(gpu, deployment)
    _acknowledge_queues(gpu)


def _acknowledge_names(gpu: "GpuStack", deployment: Deployment) -> None:
    prefix = gpu_prefix(deployment)
    kinds = ("model", "endpoint-config") if gpu.asynchronous else ("model",)
    for kind in kinds:
        for name in (f"{prefix}-*", f"{prefix}-*-r??????"):
            reason = "Only what is made for this deployment, one a version: versions aren't known beforehand."
            acknowledge(gpu.release.roll.role, f"{_ARN}{kind}/{name}]", reason)
    if gpu.asynchronous:
        for folder in ("in", "out", "failed"):
            rule = f"slipway-{deployment.stage}-data:{DATA_EXPORT}/async/{deployment.model}/{folder}/*"
            reason = "Only this model's files, whose names are their owners' choice."
            acknowledge(gpu.container.role, f"AwsSolutions-IAM5[Resource::{rule}]", reason)


def _acknowledge_queues(gpu: "GpuStack") -> None:
    release = gpu.release
    acknowledge(
        gpu.deployed.function,
        "Serverless-LambdaDLQ",
        "CloudFormation waits for its answer, and the deployment fails without: no event can be lost.",
    )
    reason = "Its events come from a queue, which has a dead-letter queue of its own with an alarm."
    acknowledge(release.roll.function, "Serverless-LambdaDLQ", reason)
    for rule in ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"):
        acknowledge(release.unfinished, rule, "It is the dead-letter queue, of the queue beside it and of the rule.")
