"""The serving function: its code, its environment, its role and the alias that callers use."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.log_groups import log_group
from infra.packaging import FunctionCode, packed_function
from infra.settings import Deployment
from slipway.settings import Settings, service_name

PREDICT = FunctionCode(source="functions/predict", handler="functions.predict.handler.handler")
LIVE = "live"
# REST APIs wait 29 s: a function that works longer works for nobody.
TIMEOUT = cdk.Duration.seconds(29)
# numpy's own thread pool is never used and costs 70 ms of the cold start; the tokenizer's would fight the model's.
THREADS = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def function_env(settings: Settings, deployment: Deployment) -> dict[str, str]:
    """Every environment variable of a serving function."""
    return {
        **settings.to_env(),
        "POWERTOOLS_SERVICE_NAME": service_name(settings.model, deployment.stage),
        "POWERTOOLS_LOG_LEVEL": "INFO",
        **THREADS,
    }


class PredictFunction(Construct):
    """``function``, its ``role`` that grants go to, its ``logs``, and ``alias``: the published version that serves."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        self.logs = log_group(self, "Logs", deployment=deployment)
        # Not CDK's default role: AWS's managed policy for it may write to every log group of the account.
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.logs.grant_write(self.role)
        options = self._options(settings, deployment)
        self.function = packed_function(
            self, "Function", code=PREDICT, deployment=deployment, options=options, snap_start=deployment.snap_start
        )
        self.alias = lambda_.Alias(self, "Live", alias_name=LIVE, version=self.function.current_version)

    def _options(self, settings: Settings, deployment: Deployment) -> dict[str, object]:
        return {
            "description": f"Answers predictions of the model {deployment.model}",
            "environment": {**function_env(settings, deployment), **_local_endpoint(deployment)},
            "memory_size": deployment.memory_mb,
            "timeout": TIMEOUT,
            "reserved_concurrent_executions": deployment.reserved_concurrency,
            "tracing": lambda_.Tracing.ACTIVE,
            "log_group": self.logs,
            "logging_format": lambda_.LoggingFormat.JSON,
            "role": self.role,
        }


def _local_endpoint(deployment: Deployment) -> dict[str, str]:
    """Where boto3 finds what stands for SageMaker beside the local cloud, which has none."""
    return {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": deployment.gpu_local} if deployment.gpu_local else {}
