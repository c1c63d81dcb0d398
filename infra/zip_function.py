"""A function of what Lambda has anyway: a zip of ours and the layer that all functions share."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.log_groups import log_group
from infra.packaging import FunctionCode, runtime_layer, zipped_function
from infra.settings import Deployment
from slipway.settings import Environment


class ZipFunction(Construct):
    """``function``, the ``role`` that grants go to, and its ``logs``. For predictions there is ``PredictFunction``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        code: FunctionCode,
        settings: Environment,
        deployment: Deployment,
        description: str,
        memory_mb: int = 256,
        timeout: cdk.Duration | None = None,
    ) -> None:
        """``timeout`` is a minute by default."""
        super().__init__(scope, construct_id)
        self.logs = log_group(self, "Logs", deployment=deployment)
        # Not CDK's default role: AWS's managed policy for it may write to every log group of the account.
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.logs.grant_write(self.role)
        self.function = zipped_function(
            self,
            "Function",
            code=code,
            deployment=deployment,
            options={
                "description": description,
                "environment": settings.to_env(),
                "memory_size": memory_mb,
                "timeout": timeout or cdk.Duration.minutes(1),
                "tracing": lambda_.Tracing.ACTIVE,
                "log_group": self.logs,
                "logging_format": lambda_.LoggingFormat.JSON,
                "role": self.role,
            },
        )
        if not deployment.local:  # there functions run in an interpreter that has it
            self.function.add_layers(runtime_layer(self, "Runtime"))


def release_code(verb: str) -> FunctionCode:
    """A module of functions/release."""
    return FunctionCode(source="functions/release", handler=f"functions.release.{verb}.handler")
