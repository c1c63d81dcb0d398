"""What tells the routers how heavy traffic is: the API's requests of each minute, counted by CloudWatch."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.model_store import ModelStore
from infra.settings import Deployment
from infra.zip_function import ZipFunction, release_code
from slipway.settings.release import PulseSettings

_EVERY = cdk.Duration.minutes(1)


class GpuPulse(Construct):
    """``function``, which its ``rule`` runs every minute. A lost beat is not tried again: the next one is near."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, store: ModelStore, api_name: str
    ) -> None:
        super().__init__(scope, construct_id)
        settings = PulseSettings(
            model=deployment.model,
            model_bucket=store.bucket.bucket_name,
            api_name=api_name,
            api_stage=deployment.stage,
        )
        made = ZipFunction(
            self,
            "Pulse",
            code=release_code("pulse"),
            settings=settings,
            deployment=deployment,
            description=f"Counts the requests of the API of the model {deployment.model}",
        )
        self.role, self.function = made.role, made.function
        iam.Grant.add_to_principal(grantee=self.role, actions=["cloudwatch:GetMetricStatistics"], resource_arns=["*"])
        iam.Grant.add_to_principal(
            grantee=self.role,
            actions=["s3:PutObject"],
            resource_arns=[store.bucket.arn_for_objects(f"models/{deployment.model}/traffic.json")],
        )
        self.rule = events.Rule(
            self,
            "EveryMinute",
            description=f"Count the requests of the API of {deployment.model}",
            schedule=events.Schedule.rate(_EVERY),
            targets=[targets.LambdaFunction(self.function, retry_attempts=0, max_event_age=_EVERY)],
        )
