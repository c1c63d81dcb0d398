"""The cdk-nag findings on the way of large batch jobs that stay, each with its reason."""

from aws_cdk import Stack

from infra.acknowledgments import DATA_EXPORT, acknowledge
from infra.batch import Batch

_FOLDERS = ("inbox/{model}/", "outbox/{model}/", "jobs/{model}/", "async/{model}/out/", "async/{model}/failed/")


def acknowledge_batch_gpu(batch: Batch, *, stage: str, model: str) -> None:
    """Say why the findings on ``batch.gpu``, if there is one, are right as they are."""
    if not batch.gpu:
        return
    asking = "async/{model}/in/"
    for step, folders in ((batch.gpu.ask, (*_FOLDERS, asking)), (batch.gpu.collect, _FOLDERS)):
        acknowledge(
            step.role,
            "AwsSolutions-IAM5[Resource::*]",
            "X-Ray's actions take no resource: AWS defines them for '*' only.",
        )
        for folder in folders:
            rule = f"AwsSolutions-IAM5[Resource::slipway-{stage}-data:{DATA_EXPORT}/{folder.format(model=model)}*]"
            acknowledge(step.role, rule, "Only this model's files, whose names are others' choice.")
        acknowledge(
            step.function,
            "Serverless-LambdaDLQ",
            "What is lost is not waited for longer than the step's timeout: then functions score the shard.",
        )
    name = Stack.of(batch).get_logical_id(batch.gpu.ask.function.node.default_child)  # type: ignore[arg-type]
    reason = "The versions of a function that belongs to this workflow alone."
    acknowledge(batch.workflow, f"AwsSolutions-IAM5[Resource::<{name}.Arn>:*]", reason)
