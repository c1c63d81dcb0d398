"""New code for the predict function: a tenth of the requests for five minutes, then all, or back where an alarm rings.

It is CodeDeploy that moves the alias, and CloudFormation that waits for it and rolls the rest of the deployment back.
Models are released by their own way (infra/bake.py): a deployment changes no model, a promotion no code.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from constructs import Construct

from infra.acknowledgments import acknowledge
from infra.alarms import alarm_at
from infra.predict_api import PredictApi
from infra.predict_function import LIVE
from infra.settings import Deployment

_MINUTE = cdk.Duration.minutes(1)
_SERVER_ERRORS = 3  # a minute, of the whole API: one lost connection is no reason


class CodeRelease(Construct):
    """``group``, which shifts the alias of ``predict``; ``alarms``, each of which brings it back."""

    def __init__(self, scope: Construct, construct_id: str, *, predict: PredictApi, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        self._predict = predict
        model = deployment.model
        self.alarms = [
            alarm_at(
                self,
                "New code fails",
                metric=self._of_new_version("Errors", "Sum"),
                says=f"The code of the model {model} that was deployed last crashes or runs out of time",
            ),
            alarm_at(
                self,
                "New code is slow",
                metric=self._of_new_version("Duration", "p99"),
                says=f"The code of the model {model} that was deployed last takes {deployment.code_slow_ms} ms or more "
                "for one request of a hundred",
                threshold=deployment.code_slow_ms,
            ),
            alarm_at(
                self,
                "The API fails",
                metric=predict.api.metric_server_error(period=_MINUTE, statistic="Sum"),
                says=f"The API of the model {model} answers {_SERVER_ERRORS} or more requests a minute with 5xx",
                threshold=_SERVER_ERRORS,
            ),
        ]
        self.group = self._group()

    def _of_new_version(self, name: str, statistic: str) -> cloudwatch.Metric:
        """Of the version that this deployment makes, as the alias runs it: the old one beside it has its own."""
        function = self._predict.serving.function
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name=name,
            dimensions_map={
                "FunctionName": function.function_name,
                "Resource": f"{function.function_name}:{LIVE}",
                "ExecutedVersion": function.current_version.version,
            },
            period=_MINUTE,
            statistic=statistic,
        )

    def _group(self) -> codedeploy.LambdaDeploymentGroup:
        made = codedeploy.LambdaDeploymentGroup(
            self,
            "Group",
            application=codedeploy.LambdaApplication(self, "Application"),
            alias=self._predict.serving.alias,
            deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            alarms=self.alarms,
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
            ),
        )
        acknowledge(
            made,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]",
            "CodeDeploy's own policy, which its construct always attaches: it may move aliases and read alarms.",
        )
        return made
