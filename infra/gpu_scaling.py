"""How many copies or instances there are: by the load, down to none, and up again from none.

Tracking a metric cannot wake what sleeps: with no copy nothing is measured. What wakes it is an alarm on the calls
that found nobody, and a step of one.
"""

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.alarms import alarm_at

# Two batches of 32 texts are on the GPU at a time (functions/endpoint): with as many requests as one of them has, a
# second copy is on its way before anything waits for long.
CONCURRENT = 32
BACKLOG = 1  # files that wait for an instance of the asynchronous endpoint
_IDLE = 900  # seconds without load before a copy goes: to start one takes about nine minutes
_Tracking = scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty


class Scaling(Construct):
    """``target``, what is scaled, from ``minimum`` to ``maximum``."""

    def __init__(
        self, scope: Construct, construct_id: str, *, resource_id: str, dimension: str, minimum: int, maximum: int
    ) -> None:
        super().__init__(scope, construct_id)
        # No role: Application Auto Scaling has its own in each account, linked to it.
        self.target = scaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            resource_id=resource_id,
            scalable_dimension=dimension,
            min_capacity=minimum,
            max_capacity=maximum,
        )

    def track_requests(self) -> None:
        """Keep ``CONCURRENT`` requests a copy. The metric of high resolution is there after 10 s, not after 60."""
        kind = "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution"
        predefined = scaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(predefined_metric_type=kind)
        self._track(
            _Tracking(
                target_value=CONCURRENT,
                predefined_metric_specification=predefined,
                scale_in_cooldown=_IDLE,
                scale_out_cooldown=60,
            )
        )

    def track_backlog(self, endpoint: str) -> None:
        """Keep ``BACKLOG`` files an instance waiting."""
        metric = scaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
            namespace="AWS/SageMaker",
            metric_name="ApproximateBacklogSizePerInstance",
            dimensions=[scaling.CfnScalingPolicy.MetricDimensionProperty(name="EndpointName", value=endpoint)],
            statistic="Average",
        )
        self._track(
            _Tracking(
                target_value=BACKLOG,
                customized_metric_specification=metric,
                scale_in_cooldown=_IDLE,
                scale_out_cooldown=300,
            )
        )

    def wake_on(self, metric: cloudwatch.Metric, *, because: str) -> cloudwatch.Alarm:
        """Add one as soon as ``metric`` is 1 or more."""
        step = scaling.StepScalingAction(
            self,
            "WakeUp",
            scaling_target=self.target,
            adjustment_type=scaling.AdjustmentType.CHANGE_IN_CAPACITY,
            metric_aggregation_type=scaling.MetricAggregationType.MAXIMUM,
            cooldown=cdk.Duration.minutes(1),
        )
        step.add_adjustment(adjustment=1, lower_bound=0)
        missing = cloudwatch.TreatMissingData.MISSING
        alarm = alarm_at(self, "Asleep", metric=metric, says=because, missing=missing, tells=False)
        alarm.add_alarm_action(actions.ApplicationScalingAction(step))
        return alarm

    def _track(self, configuration: _Tracking) -> None:
        scaling.CfnScalingPolicy(
            self,
            "Track",
            policy_name="track",
            policy_type="TargetTrackingScaling",
            scaling_target_id=self.target.ref,
            target_tracking_scaling_policy_configuration=configuration,
        )


def sleeping_metric(name: str, *, seconds: int, **dimensions: str) -> cloudwatch.Metric:
    """The metric of SageMaker that says that somebody asked and nobody was there."""
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=name,
        dimensions_map=dimensions,
        statistic="Maximum",
        period=cdk.Duration.seconds(seconds),
    )
