"""The online API: one serving function behind a REST API that asks every caller who they are."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from constructs import Construct

from infra.door import TokenDoor, caller_field, method_options, open_page
from infra.door_problems import gateway_problems
from infra.gateway_problems import add_gateway_problems
from infra.log_groups import log_group
from infra.predict_function import TIMEOUT, PredictFunction
from infra.settings import Deployment
from infra.web_acl import WebAcl
from slipway.settings import Settings

OPEN_PAGES = ("docs", "openapi.json")  # and the root: a browser asks for a page without a key, and they show no model
# TLS 1.2 and 1.3 with forward secrecy. API Gateway's default for a regional API takes TLS 1.0.
TLS_POLICY = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
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
    "tls": "$context.tlsVersion",
    "traceId": "$context.xrayTraceId",
}


class PredictApi(Construct):
    """``serving``, the function; ``api`` before it; ``access_logs``; ``web_acl``, or None.

    What callers need: with ``auth`` api-key the first ``api_key`` of the ``usage_plan``, with jwt a token that the
    ``door`` takes; else they are None.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        self.stage = deployment.stage
        self.serving = PredictFunction(self, "Serving", settings=settings, deployment=deployment)
        self.access_logs = log_group(self, "AccessLogs", deployment=deployment)
        self.door = TokenDoor(self, "Door", deployment=deployment) if deployment.auth == "jwt" else None
        self.api = self._rest_api(deployment)
        self._keep_execution_logs(deployment)
        self.api.node.try_remove_child("Endpoint")  # an output beside our own ApiUrl
        add_gateway_problems(self.api, gateway_problems(deployment.auth))
        self.usage_plan = self._usage_plan(deployment) if deployment.auth == "api-key" else None
        self.api_key = self._api_key(self.usage_plan) if self.usage_plan else None
        stage = self.api.deployment_stage
        self.web_acl = WebAcl(self, "WebAcl", deployment=deployment, stage=stage) if deployment.waf else None

    @property
    def url(self) -> str:
        """The API's address, without a slash at its end."""
        if self.api.domain_name:
            return f"https://{self.api.domain_name.domain_name}"
        return f"https://{self.api.rest_api_id}.execute-api.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}/{self.stage}"

    def _rest_api(self, deployment: Deployment) -> apigateway.RestApi:
        """Every path and method goes to the function, which routes; all but the pages for people are guarded."""
        api = self._bare_api(deployment)
        resource = api.node.default_child
        assert isinstance(resource, apigateway.CfnRestApi)  # noqa: S101  it is what RestApi is made of
        resource.security_policy = TLS_POLICY
        resource.endpoint_access_mode = "STRICT"
        api.root.add_method("ANY")
        api.root.add_proxy(any_method=True)
        for page in (api.root, *(api.root.add_resource(part) for part in OPEN_PAGES)):
            open_page(page)
        return api

    def _bare_api(self, deployment: Deployment) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Api",
            rest_api_name=cdk.Stack.of(self).stack_name,
            default_integration=apigateway.LambdaIntegration(
                self.serving.alias, allow_test_invoke=False, timeout=TIMEOUT
            ),
            default_method_options=method_options(deployment.auth, door=self.door),
            # Every body reaches the function byte by byte: a client of the Open Inference Protocol sends tensors in
            # binary and says nothing of their type, and as text they would arrive mangled.
            binary_media_types=["*/*"],
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=deployment.account_logs_role,
            domain_name=self._domain(deployment),
            disable_execute_api_endpoint=bool(deployment.domain_name),
            deploy_options=self._stage_options(deployment),
        )

    def _domain(self, deployment: Deployment) -> apigateway.DomainNameOptions | None:
        """A name of the team's own, for which the team has the certificate and makes the DNS record."""
        if not deployment.domain_name:
            return None
        return apigateway.DomainNameOptions(
            domain_name=deployment.domain_name,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", deployment.certificate_arn),
            endpoint_type=apigateway.EndpointType.REGIONAL,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )

    def _stage_options(self, deployment: Deployment) -> apigateway.StageOptions:
        return apigateway.StageOptions(
            stage_name=deployment.stage,
            access_log_destination=apigateway.LogGroupLogDestination(self.access_logs),
            access_log_format=apigateway.AccessLogFormat.custom(
                json.dumps({**ACCESS_LOG, **caller_field(deployment.auth)})
            ),
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

    def _api_key(self, plan: apigateway.UsagePlan) -> apigateway.IApiKey:
        key = self.api.add_api_key("Key")
        plan.add_api_key(key)
        return key

    def _usage_plan(self, deployment: Deployment) -> apigateway.UsagePlan:
        limits = apigateway.ThrottleSettings(rate_limit=deployment.requests_per_second, burst_limit=deployment.burst)
        return self.api.add_usage_plan(
            "Plan",
            throttle=limits,
            quota=apigateway.QuotaSettings(limit=deployment.daily_quota, period=apigateway.Period.DAY),
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
        )
