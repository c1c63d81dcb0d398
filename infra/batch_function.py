"""One function of the batch workflow: its code, its role, its logs."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.log_groups import log_group
from infra.packaging import FunctionCode, packed_function, zipped_function
from infra.predict_function import THREADS
from infra.settings import Deployment
from slipway.settings import service_name
from slipway.settings.batch import BatchSettings

LONGEST = cdk.Duration.minutes(15)
MINUTE = cdk.Duration.minutes(1)


class BatchFunction(Construct):
    """``function``, its ``timeout``, and the ``role`` that grants go to. ``verb`` is its module in functions/batch."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        verb: str,
        settings: BatchSettings,
        deployment: Deployment,
        memory_mb: int,
        timeout: cdk.Duration = LONGEST,
        layer: lambda_.ILayerVersion | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.timeout = timeout
        logs = log_group(self, "Logs", deployment=deployment)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(self.role)
        code = FunctionCode(source="functions/batch", handler=f"functions.batch.{verb}.handler")
        options: Mapping[str, object] = {
            "description": f"Batch scoring with the model {deployment.model}: {verb}",
            "environment": {
                **settings.to_env(),
                "POWERTOOLS_SERVICE_NAME": service_name(settings.model, deployment.stage),
                **THREADS,
            },
            "memory_size": memory_mb,
            "timeout": timeout,
            "tracing": lambda_.Tracing.ACTIVE,
            "log_group": logs,
            "logging_format": lambda_.LoggingFormat.JSON,
            "role": self.role,
        }
        packed = packed_function if layer is None else zipped_function
        self.function = packed(self, "Function", code=code, deployment=deployment, options=options)
        if layer is not None and not deployment.local:
            self.function.add_layers(layer)
