"""What looks for drift every hour: a function, the rule that runs it, and the alarms of what it finds (docs/drift.md).

A stack of its own beside the API's, whose log it reads.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.alarms import alarm_at
from infra.drift_acknowledgments import acknowledge_drift
from infra.model_store import ModelStore
from infra.packaging import FunctionCode
from infra.settings import Deployment
from infra.zip_function import ZipFunction
from slipway.settings import service_name
from slipway.settings.drift import DriftSettings

DRIFT = FunctionCode(source="functions/drift", handler="functions.drift.handler.handler")
NAMESPACE = "Slipway"
_HOUR = cdk.Duration.hours(1)
_MINUTE = "5"  # of the hour: the log's last lines come late
_TIMEOUT = cdk.Duration.minutes(5)  # thirty slices of the log, some in several pages, ten calls a second


class Drift(Construct):
    """``function``, which its ``rule`` runs every hour under its ``role``, and the ``alarms``: drifted, and blind."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        store: ModelStore,
        read: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        settings = DriftSettings(
            model=deployment.model,
            model_bucket=store.bucket.bucket_name,
            log_group=read.log_group_name,
            stage=deployment.stage,
            trusted_keys=deployment.trusted_keys,
        )
        made = ZipFunction(
            self,
            "Check",
            code=DRIFT,
            settings=settings,
            deployment=deployment,
            description=f"Looks for drift in the texts of the model {deployment.model}",
            timeout=_TIMEOUT,
        )
        self.function, self.role = made.function, made.role
        self._grant(store, read)
        self.rule = events.Rule(
            self,
            "EveryHour",
            description=f"Compare the texts of the last hour with the baseline of {deployment.model}",
            schedule=events.Schedule.cron(minute=_MINUTE),
            targets=[targets.LambdaFunction(self.function, retry_attempts=2, max_event_age=_HOUR)],
        )
        self.alarms = [self._drifted(), self._blind()]

    def _grant(self, store: ModelStore, read: logs.ILogGroup) -> None:
        model = self._deployment.model
        store.grant_read_model(self.role, model=model)
        windows = store.bucket.arn_for_objects(f"drift/{model}/*")
        for actions, arns, conditions in (
            (["s3:GetObject", "s3:PutObject"], [windows], {}),
            (["logs:FilterLogEvents"], [read.log_group_arn], {}),
            (["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}),
        ):
            iam.Grant.add_to_principal(
                grantee=self.role, actions=actions, resource_arns=arns, conditions=conditions or None
            )

    def _drifted(self) -> cloudwatch.Alarm:
        metric = cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name="Drift",
            dimensions_map={"service": service_name(self._deployment.model, self._deployment.stage)},
            period=_HOUR,
            statistic="Maximum",
        )
        says = f"Texts of the model {self._deployment.model} are no longer as those it was measured on: slipway drift"
        return alarm_at(self, "Drifted", metric=metric, says=says)

    def _blind(self) -> cloudwatch.Alarm:
        metric = self.function.metric_errors(period=_HOUR, statistic="Sum")
        says = f"Nobody knows whether texts of the model {self._deployment.model} drift: the function's log says why"
        return alarm_at(self, "Blind", metric=metric, says=says)


class DriftStack(cdk.Stack):
    """Holds ``drift``, which watches the API of one model."""

    def __init__(self, scope: Construct, *, deployment: Deployment, store: ModelStore, read: logs.ILogGroup) -> None:
        super().__init__(scope, f"slipway-{deployment.stage}-{deployment.model}-drift")
        self.drift = Drift(self, "Drift", deployment=deployment, store=store, read=read)
        acknowledge_drift(self.drift, deployment=deployment)
        cdk.CfnOutput(self, "DriftFunction", value=self.drift.function.function_name)
