"""The alarms under which an update of an endpoint is taken back."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.alarms import alarm_at

_ERRORS = 5  # a minute: a container that stops in the middle loses fewer
_SLOW = 5_000_000  # microseconds: what the container does with one request, at the 90th percentile
_BAKING = 120  # seconds that a part of the new fleet answers before the next follows
_AT_MOST = 3600  # seconds for a whole update


class GpuGuard(Construct):
    """``alarms`` on what answers under ``dimensions``; missing data is good news: nobody asked."""

    def __init__(
        self, scope: Construct, construct_id: str, *, dimensions: Mapping[str, str], what: str, slow: bool = True
    ) -> None:
        """``slow`` is whether an answer that takes long is a bad one."""
        super().__init__(scope, construct_id)
        self._dimensions = dict(dimensions)
        self.alarms = [self._alarm("Errors", "Invocation5XXErrors", "Sum", _ERRORS, f"{what} answers with errors")]
        if slow:
            self.alarms.append(self._alarm("Slow", "ModelLatency", "p90", _SLOW, f"{what} is slow"))

    def grant_describe(self, grantee: iam.IGrantable) -> iam.Grant:
        """SageMaker reads the alarms as the role of the instances; who begins an update must be able to as well."""
        arns = [alarm.alarm_arn for alarm in self.alarms]
        return iam.Grant.add_to_principal(grantee=grantee, actions=["cloudwatch:DescribeAlarms"], resource_arns=arns)

    def rolling(self) -> dict[str, object]:
        """The DeploymentConfig of an inference component, as CloudFormation and SageMaker's API both spell it.

        Half of the copies at a time, which is the most that SageMaker takes and, of one copy, the one.
        """
        policy = {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": _BAKING,
            "MaximumExecutionTimeoutInSeconds": _AT_MOST,
        }
        return {"RollingUpdatePolicy": policy, "AutoRollbackConfiguration": self._rollback()}

    def all_at_once(self) -> dict[str, object]:
        """The DeploymentConfig of an endpoint without components, as both spell it.

        A new fleet beside the old one: of none or one instance there is no half to begin with.
        """
        policy = {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": _BAKING},
            "MaximumExecutionTimeoutInSeconds": _AT_MOST,
        }
        return {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": self._rollback()}

    def _rollback(self) -> dict[str, object]:
        return {"Alarms": [{"AlarmName": alarm.alarm_name} for alarm in self.alarms]}

    def _alarm(self, construct_id: str, metric: str, statistic: str, threshold: float, says: str) -> cloudwatch.Alarm:
        return alarm_at(
            self,
            construct_id,
            metric=cloudwatch.Metric(
                namespace="AWS/SageMaker",
                metric_name=metric,
                dimensions_map=self._dimensions,
                statistic=statistic,
                period=cdk.Duration.minutes(1),
            ),
            says=f"{says}: an update that is under way is taken back",
            threshold=threshold,
        )
