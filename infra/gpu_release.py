"""What makes a promotion roll the endpoints: an event, a queue, a function that tries until they serve what is live.

Not CloudFormation: a promotion is the work of seconds and of whoever may write the pointer, and needs no deployment.
The queue is the patience: an update takes minutes and begins only when none is under way, so a message comes back
until it is done. What then is still not done, or was refused or taken back, raises an alarm.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.alarms import alarm_at
from infra.event_queue import EventQueue
from infra.gpu_names import hosting_arn
from infra.model_store import ModelStore
from infra.settings import Deployment
from infra.zip_function import ZipFunction, release_code
from slipway.settings.release import RollSettings

_MINUTE = cdk.Duration.minutes(1)
_PATIENCE = cdk.Duration.hours(2)  # an update takes one at most
_COMPLAINTS = ("refused", "taken back")  # functions/release/roll.py logs these


class GpuRelease(Construct):
    """``roll``, the function; ``events``, its queue; ``unfinished``, what it gave up; ``alarms``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: RollSettings,
        deployment: Deployment,
        store: ModelStore,
        execution: iam.IRole,
    ) -> None:
        super().__init__(scope, construct_id)
        self._model = deployment.model
        self.roll = ZipFunction(
            self,
            "Roll",
            code=release_code("roll"),
            settings=settings,
            deployment=deployment,
            description=f"Rolls the GPU endpoint of the model {deployment.model} to what is live",
            timeout=_MINUTE,
        )
        store.grant_read_model(self.roll.role, model=deployment.model)
        self._grant(settings, execution)
        fourteen = cdk.Duration.days(14)
        self.unfinished = sqs.Queue(self, "Unfinished", enforce_ssl=True, retention_period=fourteen)
        self.events = EventQueue(
            self.roll,
            "Events",
            function=self.roll.function,
            timeout=_MINUTE,
            patience=_PATIENCE,
            undelivered=self.unfinished,
        )
        self._on_promotion(store)
        self._on_deployment()
        self.alarms = [self._gave_up(), self._complained()]

    def _on_promotion(self, store: ModelStore) -> None:
        events.Rule(
            self,
            "OnPromotion",
            description=f"Roll the GPU endpoint when the live version of {self._model} changes",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [store.bucket.bucket_name]},
                    "object": {"key": [f"models/{self._model}/live.json"]},
                },
            ),
            targets=[self.events.target],
        )

    def _on_deployment(self) -> None:
        """Look after each, too: one that failed has put back what it found when it was deployed before."""
        ends = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
        events.Rule(
            self,
            "OnDeployment",
            description=f"Bring the GPU endpoint to the live version of {self._model} after a deployment",
            event_pattern=events.EventPattern(
                source=["aws.cloudformation"],
                detail_type=["CloudFormation Stack Status Change"],
                detail={"stack-id": [cdk.Aws.STACK_ID], "status-details": {"status": ends}},
            ),
            targets=[self.events.target],
        )

    def _grant(self, settings: RollSettings, execution: iam.IRole) -> None:
        any_model, rolled_model = self._made("model", settings)
        any_config, rolled_config = self._made("endpoint-config", settings)
        component = hosting_arn(self, "inference-component", settings.gpu_component)
        calls = [
            (["DescribeModel"], [any_model]),
            (["CreateModel", "DeleteModel"], [rolled_model]),
            (["DescribeInferenceComponent", "UpdateInferenceComponent", "ListTags", "AddTags"], [component]),
        ]
        lists = ["sagemaker:ListModels"]
        if settings.gpu_async_endpoint:
            endpoint = hosting_arn(self, "endpoint", settings.gpu_async_endpoint)
            calls += [
                (["DescribeEndpointConfig"], [any_config]),
                (["CreateEndpointConfig", "DeleteEndpointConfig"], [rolled_config]),
                (["DescribeEndpoint", "ListTags", "AddTags"], [endpoint]),
                (["UpdateEndpoint"], [endpoint, rolled_config]),
            ]
            lists.append("sagemaker:ListEndpointConfigs")
        for actions, arns in calls:
            named = [f"sagemaker:{action}" for action in actions]
            iam.Grant.add_to_principal(grantee=self.roll.role, actions=named, resource_arns=arns)
        iam.Grant.add_to_principal(grantee=self.roll.role, actions=lists, resource_arns=["*"])
        iam.Grant.add_to_principal(
            grantee=self.roll.role,
            actions=["iam:PassRole"],  # of the instances, which a model names
            resource_arns=[execution.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )

    def _made(self, kind: str, settings: RollSettings) -> tuple[str, str]:
        """Everything of this deployment, and what rolls make (``slipway.hosting.names``)."""
        everything = f"{settings.gpu_prefix}-*"
        return hosting_arn(self, kind, everything), hosting_arn(self, kind, f"{everything}-r??????")

    def _gave_up(self) -> cloudwatch.Alarm:
        metric = self.unfinished.metric_approximate_number_of_messages_visible(
            period=cdk.Duration.minutes(5), statistic="Maximum"
        )
        return self._alarm("Gave up", metric, "For two hours a GPU endpoint was not brought to the live version")

    def _complained(self) -> cloudwatch.Alarm:
        complaints = logs.MetricFilter(
            self,
            "Complaints",
            log_group=self.roll.logs,
            filter_pattern=logs.FilterPattern.any(
                *(logs.FilterPattern.string_value("$.message", "=", text) for text in _COMPLAINTS)
            ),
            metric_namespace="Slipway",
            metric_name=f"GpuRollComplaints-{cdk.Stack.of(self).stack_name}",
            metric_value="1",
        )
        metric = complaints.metric(period=cdk.Duration.minutes(5), statistic="Sum")
        return self._alarm(
            "Complained", metric, "The log of roll says why a GPU endpoint did not take the live version"
        )

    def _alarm(self, construct_id: str, metric: cloudwatch.Metric, says: str) -> cloudwatch.Alarm:
        told = f"{says} of the model {self._model}; the former one serves"
        return alarm_at(self, construct_id, metric=metric, says=told)
