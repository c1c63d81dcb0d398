"""The stack of the bakes of one model, and the cdk-nag findings on it that stay.

slipway-<stage>-<model>-bake      stateless: what lets its canaries grow, or withdraws them
"""

import aws_cdk as cdk
from aws_cdk import Stack
from constructs import Construct

from infra.acknowledgments import BUCKET_EXPORT, acknowledge
from infra.bake import Bakes
from infra.model_store import ModelStore
from infra.settings import Deployment


class BakeStack(cdk.Stack):
    """Holds ``bakes``, which moves the live pointer of one model in ``store``."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-bake")
        self.bakes = Bakes(self, "Bakes", deployment=deployment, store=store)
        acknowledge_bakes(self.bakes, stage=deployment.stage, model=deployment.model)


def acknowledge_bakes(bakes: Bakes, *, stage: str, model: str) -> None:
    """Say why the findings on ``bakes`` are right as they are."""
    bucket = f"Resource::slipway-{stage}-store:{BUCKET_EXPORT}"
    turn = Stack.of(bakes).get_logical_id(bakes.turn.node.default_child)  # type: ignore[arg-type]
    trace = "The actions of X-Ray and of log delivery take no resource: AWS defines them for '*' only."
    for construct, rule, reason in (
        (bakes.role, "AwsSolutions-IAM5[Resource::*]", trace),
        (bakes.workflow, "AwsSolutions-IAM5[Resource::*]", trace),
        (
            bakes.role,
            f"AwsSolutions-IAM5[{bucket}/models/{model}/*]",
            "Read-only, and only this model: its versions' names aren't known before they are built.",
        ),
        (
            bakes.role,
            f"AwsSolutions-IAM5[{bucket}/models/{model}/ledger/*]",
            "The ledger of this model alone, whose entries are named after the time of a change.",
        ),
        (
            bakes.role,
            f"AwsSolutions-IAM5[{bucket}/bakes/{model}/*]",
            "Read-only: what processes counted of this model's canaries, under names of their own.",
        ),
        (
            bakes.workflow,
            f"AwsSolutions-IAM5[Resource::<{turn}.Arn>:*]",
            "The versions of a function that belongs to this workflow alone.",
        ),
        (
            bakes.turn,
            "Serverless-LambdaDLQ",
            "Called by the workflow only, which tries a failed turn again and ends with an alarm.",
        ),
        *(
            (bakes.turn, rule, "The Python of all our images, with which everything is tested.")
            for rule in ("AwsSolutions-L1", "Serverless-LambdaLatestVersion")
        ),
    ):
        acknowledge(construct, rule, reason)
