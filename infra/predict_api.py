"""The online API: one serving function behind a REST API that asks every caller for a key."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.gateway_problems import add_gateway_problems
from infra.log_groups import log_group
from infra.predict_function import TIMEOUT, PredictFunction
from infra.settings import Deployment
from slipway.settings import Settings

OPEN_PAGES = ("docs", "openapi.json")  # and the root: a browser asks for a page without a key, and they show no model
# What is worth knowing of a request, without the caller's address or texts.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "requestTime": "$context.requestTime",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "errorType": "$context.error.responseType",
    "latencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integration.latency",
    "integrationStatus": "$context.integration.status",
    "responseBytes": "$context.responseLength",
    "apiKeyId": "$context.identity.apiKeyId",
    "traceId": "$context.xrayTraceId",
}


class PredictApi(Construct):
    """``serving``, the function; ``api`` before it; the first ``api_key`` of its ``usage_plan``; ``access_logs``."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        self.stage = deployment.stage
        self.serving = PredictFunction(self, "Serving", settings=settings, deployment=deployment)
        self.access_logs = log_group(self, "AccessLogs", deployment=deployment)
        self.api = self._rest_api(deployment)
        self._keep_execution_logs(deployment)
        self.api.node.try_remove_child("Endpoint")  # an output beside our own ApiUrl
        add_gateway_problems(self.api)
        self.usage_plan = self._usage_plan(deployment)
        self.api_key = self.api.add_api_key("Key")
        self.usage_plan.add_api_key(self.api_key)

    @property
    def url(self) -> str:
        """The API's address, without a slash at its end."""
        return f"https://{self.api.rest_api_id}.execute-api.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}/{self.stage}"

    def _rest_api(self, deployment: Deployment) -> apigateway.RestApi:
        """Every path and method goes to the function, which routes; all but the pages for people ask for a key."""
        api = self._bare_api(deployment)
        api.root.add_method("ANY")
        api.root.add_proxy(any_method=True)
        for resource in (api.root, *(api.root.add_resource(part) for part in OPEN_PAGES)):
            resource.add_method("GET", api_key_required=False)
        return api

    def _bare_api(self, deployment: Deployment) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Api",
            rest_api_name=cdk.Stack.of(self).stack_name,
            default_integration=apigateway.LambdaIntegration(
                self.serving.alias, allow_test_invoke=False, timeout=TIMEOUT
            ),
            default_method_options=apigateway.MethodOptions(api_key_required=True),
            # Every body reaches the function byte by byte: a client of the Open Inference Protocol sends tensors in
            # binary and says nothing of their type, and as text they would arrive mangled.
            binary_media_types=["*/*"],
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=deployment.account_logs_role,
            deploy_options=self._stage_options(deployment),
        )

    def _stage_options(self, deployment: Deployment) -> apigateway.StageOptions:
        return apigateway.StageOptions(
            stage_name=deployment.stage,
            access_log_destination=apigateway.LogGroupLogDestination(self.access_logs),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            data_trace_enabled=False,  # would write the callers' texts to the log
            metrics_enabled=True,
            tracing_enabled=True,
            throttling_rate_limit=deployment.requests_per_second,
            throttling_burst_limit=deployment.burst,
        )

    def _keep_execution_logs(self, deployment: Deployment) -> None:
        """API Gateway makes this group by itself at the first error, and then keeps it forever: be there first."""
        name = f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{deployment.stage}"
        group = log_group(self, "ExecutionLogs", deployment=deployment, name=name)
        self.api.deployment_stage.node.add_dependency(group)

    def _usage_plan(self, deployment: Deployment) -> apigateway.UsagePlan:
        limits = apigateway.ThrottleSettings(rate_limit=deployment.requests_per_second, burst_limit=deployment.burst)
        return self.api.add_usage_plan(
            "Plan",
            throttle=limits,
            quota=apigateway.QuotaSettings(limit=deployment.daily_quota, period=apigateway.Period.DAY),
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
        )
