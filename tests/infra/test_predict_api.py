import json

import pytest

from infra.settings import DeploymentError
from tests.infra.conftest import Assembly, Synthesize


@pytest.fixture
def aws(aws: Assembly) -> Assembly:
    return aws.part("*-api")


def test_every_path_and_method_goes_to_the_live_alias_and_all_but_the_pages_ask_for_a_key(aws: Assembly) -> None:
    methods = [method["Properties"] for method in aws.resources("AWS::ApiGateway::Method")]
    asked = sorted((method["HttpMethod"], method["ApiKeyRequired"]) for method in methods)
    assert asked == [("ANY", True), ("ANY", True), ("GET", False), ("GET", False), ("GET", False)]
    assert all(method["Integration"]["Type"] == "AWS_PROXY" for method in methods)
    assert all("Live" in json.dumps(method["Integration"]["Uri"]) for method in methods)
    parts = {resource["Properties"]["PathPart"] for resource in aws.resources("AWS::ApiGateway::Resource")}
    assert parts == {"{proxy+}", "docs", "openapi.json"}


def test_bodies_reach_the_function_byte_by_byte(aws: Assembly) -> None:
    assert aws.properties("AWS::ApiGateway::RestApi")["BinaryMediaTypes"] == ["*/*"]


def test_further_models_are_told_to_the_function_which_may_read_them(synthesize: Synthesize) -> None:
    assembly = synthesize(stage="prod", model="tickets", models="mails,chats").part("*-api")
    variables = assembly.properties("AWS::Lambda::Function")["Environment"]["Variables"]
    assert variables["SLIPWAY_MODELS"] == "mails,chats"
    statements = json.dumps(assembly.resources("AWS::IAM::Policy"))
    assert all(f"models/{model}/*" in statements for model in ("tickets", "mails", "chats"))
    with pytest.raises(DeploymentError, match="models"):
        synthesize(stage="prod", models="../secrets")


def test_only_this_api_may_invoke_the_alias(aws: Assembly) -> None:
    permissions = [permission["Properties"] for permission in aws.resources("AWS::Lambda::Permission")]
    assert {permission["Principal"] for permission in permissions} == {"apigateway.amazonaws.com"}
    assert all("PredictApi" in json.dumps(permission["SourceArn"]) for permission in permissions)
    assert not [p for p in permissions if "test-invoke-stage" in json.dumps(p["SourceArn"])]


def test_the_key_is_held_to_a_rate_and_a_quota(aws: Assembly) -> None:
    plan = aws.properties("AWS::ApiGateway::UsagePlan")
    assert plan["Throttle"] == {"RateLimit": 50, "BurstLimit": 100}
    assert plan["Quota"] == {"Limit": 100_000, "Period": "DAY"}
    assert len(aws.resources("AWS::ApiGateway::UsagePlanKey")) == 1


def test_the_stage_is_throttled_measured_and_traced_but_texts_are_not_logged(aws: Assembly) -> None:
    stage = aws.properties("AWS::ApiGateway::Stage")
    assert stage["TracingEnabled"] is True
    (settings,) = stage["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (50, 100)
    assert settings["MetricsEnabled"] is True
    assert settings["DataTraceEnabled"] is False


def test_access_logs_are_json_without_texts_and_addresses(aws: Assembly) -> None:
    logged = json.loads(aws.properties("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"])
    assert {"requestId", "status", "latencyMs", "apiKeyId"} <= set(logged)
    assert not [value for value in logged.values() if "body" in value or "sourceIp" in value or "input" in value]


def test_the_log_group_that_the_gateway_would_keep_forever_is_ours(aws: Assembly) -> None:
    groups = [json.dumps(group["Properties"]) for group in aws.resources("AWS::Logs::LogGroup")]
    assert len([group for group in groups if "API-Gateway-Execution-Logs_" in group]) == 1


def test_the_stacks_print_what_a_caller_needs(aws: Assembly) -> None:
    outputs = set(aws.template("slipway-prod-tickets-api")["Outputs"])
    assert {name for name in outputs if not name.startswith("Exports")} == {"ApiUrl", "ApiKeyId", "Model"}
    assert "ModelBucket" in aws.template("slipway-prod-store")["Outputs"]


def test_an_account_that_has_the_logging_role_keeps_it(synthesize: Synthesize, aws: Assembly) -> None:
    assert len(aws.resources("AWS::ApiGateway::Account")) == 1
    assert aws.resources("AWS::ApiGateway::Account")[0]["DeletionPolicy"] == "Retain"
    assert not synthesize(stage="qa", account_logs_role="false").resources("AWS::ApiGateway::Account")
