"""What the API asks of its callers, by the argument ``auth``; and the web ACL before it."""

import json

import pytest

from infra.door_problems import gateway_problems
from infra.settings import Deployment, DeploymentError
from infra.web_acl import COUNTED, SECRET_HEADERS
from slipway.settings.authorize import AuthorizeSettings
from tests.infra.conftest import Assembly, Json, Synthesize

JWT = {"auth": "jwt", "jwt_issuer": "https://issuer.example", "jwt_audience": "tickets", "jwt_scope": "classify"}


@pytest.fixture(scope="module")
def jwt(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="prod", model="tickets", waf=True, **JWT).part("*-api")


@pytest.fixture(scope="module")
def iam(synthesize: Synthesize) -> Assembly:
    return synthesize(stage="prod", model="tickets", auth="iam").part("*-api")


def methods(assembly: Assembly) -> list[tuple[str, str, bool]]:
    found = [method["Properties"] for method in assembly.resources("AWS::ApiGateway::Method")]
    return sorted((m["HttpMethod"], m["AuthorizationType"], m.get("ApiKeyRequired", False)) for m in found)


def problem(assembly: Assembly, kind: str) -> Json:
    found = [r["Properties"] for r in assembly.resources("AWS::ApiGateway::GatewayResponse")]
    (response,) = [response for response in found if response["ResponseType"] == kind]
    document: Json = json.loads(response["ResponseTemplates"]["application/json"])
    assert int(response["StatusCode"]) == document["status"]
    return document


def test_tokens_are_asked_for_on_every_path_but_the_pages(jwt: Assembly) -> None:
    assert methods(jwt) == [("ANY", "CUSTOM", False)] * 2 + [("GET", "NONE", False)] * 3


def test_signatures_are_asked_for_on_every_path_but_the_pages(iam: Assembly) -> None:
    assert methods(iam) == [("ANY", "AWS_IAM", False)] * 2 + [("GET", "NONE", False)] * 3
    assert "InvokeArn" in iam.template("slipway-prod-tickets-api")["Outputs"]


@pytest.mark.parametrize("auth", ["jwt", "iam"])
def test_without_keys_there_is_no_plan_of_them(auth: str, request: pytest.FixtureRequest) -> None:
    assembly: Assembly = request.getfixturevalue(auth)
    for kind in ("ApiKey", "UsagePlan", "UsagePlanKey"):
        assert assembly.resources(f"AWS::ApiGateway::{kind}") == []
    assert "ApiKeyId" not in assembly.template("slipway-prod-tickets-api")["Outputs"]
    logged = assembly.properties("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]
    assert "caller" in json.loads(logged)


def test_the_function_at_the_door_is_told_whose_tokens_to_take(jwt: Assembly) -> None:
    functions = [function["Properties"] for function in jwt.resources("AWS::Lambda::Function")]
    (door,) = [f for f in functions if f["ImageConfig"]["Command"] == ["functions.authorize.handler.handler"]]
    settings = AuthorizeSettings.from_env(door["Environment"]["Variables"])
    assert settings == AuthorizeSettings(
        jwt_issuer="https://issuer.example", jwt_audience="tickets", jwt_scope="classify"
    )
    assert set(door["Environment"]["Variables"]) == settings.to_env().keys()


def test_an_answer_about_a_token_is_used_for_a_minute_at_most(jwt: Assembly) -> None:
    authorizer = jwt.properties("AWS::ApiGateway::Authorizer")
    assert (authorizer["Type"], authorizer["AuthorizerResultTtlInSeconds"]) == ("TOKEN", 60)
    assert authorizer["IdentitySource"] == "method.request.header.Authorization"


def test_who_has_no_good_token_gets_401_and_the_reason(jwt: Assembly) -> None:
    assert problem(jwt, "UNAUTHORIZED")["status"] == 401
    denied = problem(jwt, "ACCESS_DENIED")
    assert (denied["status"], denied["reason"]) == (401, "$context.authorizer.reason")
    assert "Bearer" in denied["remedy"]


def test_an_issuer_that_is_down_is_503_and_worth_another_try(jwt: Assembly) -> None:
    assert problem(jwt, "AUTHORIZER_FAILURE")["status"] == 503


def test_who_signs_nothing_is_told_to_sign_and_not_to_check_the_path(iam: Assembly) -> None:
    missing = problem(iam, "MISSING_AUTHENTICATION_TOKEN")
    assert missing["status"] == 403
    assert "Signature Version 4" in missing["remedy"]


@pytest.mark.parametrize("auth", ["api-key", "iam", "jwt"])
def test_no_kind_of_refusal_is_answered_twice(auth: str) -> None:
    kinds = [problem.response_type.response_type for problem in gateway_problems(auth)]
    assert len(kinds) == len(set(kinds)) >= 13


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"auth": "basic"}, "auth"),
        ({"auth": "jwt"}, "jwt_issuer"),
        ({"auth": "jwt", "jwt_issuer": "https://issuer.example"}, "jwt_audience"),
        ({"auth": "jwt", "jwt_issuer": "http://issuer.example", "jwt_audience": "a"}, "jwt_issuer"),
        ({"auth": "jwt", "jwt_issuer": "http://127.0.0.1:9", "jwt_audience": "a"}, "jwt_issuer"),
        ({"jwt_issuer": "https://issuer.example"}, "jwt_issuer"),
        ({"kms_key": "mine"}, "kms_key"),
        ({"domain_name": "classify.example.com"}, "domain_name"),
        ({"domain_name": "-.example.com", "certificate_arn": "arn:aws:acm:x"}, "domain_name"),
        ({"certificate_arn": "arn:aws:acm:x"}, "domain_name"),
        ({"waf": "yes"}, "waf"),
        ({"waf": True, "local": True}, "waf"),
    ],
)
def test_arguments_that_leave_the_door_open_or_shut_are_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(DeploymentError, match=f"^{named}="):
        Deployment.from_context(arguments)


def test_an_issuer_on_this_machine_is_for_the_local_cloud() -> None:
    local = {"local": True, "auth": "jwt", "jwt_issuer": "http://127.0.0.1:9", "jwt_audience": "a"}
    assert Deployment.from_context(local).jwt_issuer == "http://127.0.0.1:9"


def test_there_is_a_web_acl_only_if_it_is_asked_for(aws: Assembly, jwt: Assembly) -> None:
    assert aws.resources("AWS::WAFv2::WebACL") == []
    association = jwt.properties("AWS::WAFv2::WebACLAssociation")
    assert "/stages/" in json.dumps(association["ResourceArn"])


def test_an_address_may_ask_as_often_as_the_stage_and_no_oftener(jwt: Assembly) -> None:
    rules = {rule["Name"]: rule for rule in jwt.properties("AWS::WAFv2::WebACL")["Rules"]}
    rate = rules["Rate"]["Statement"]["RateBasedStatement"]
    assert rate == {"AggregateKeyType": "IP", "EvaluationWindowSec": 300, "Limit": 50 * 300}
    assert rules["Rate"]["Action"] == {"Block": {}}


def test_rules_refuse_requests_but_only_count_what_people_wrote(jwt: Assembly) -> None:
    rules = [rule for rule in jwt.properties("AWS::WAFv2::WebACL")["Rules"] if rule["Name"] != "Rate"]
    assert {rule["Name"] for rule in rules} == COUNTED.keys()
    for rule in rules:
        group = rule["Statement"]["ManagedRuleGroupStatement"]
        assert rule["OverrideAction"] == {"None": {}}
        overridden = group.get("RuleActionOverrides", [])
        assert {each["Name"] for each in overridden} == set(COUNTED[rule["Name"]])
        assert all(each["ActionToUse"] == {"Count": {}} for each in overridden)
    assert len({rule["Priority"] for rule in rules}) == len(rules) == 3


def test_no_key_and_no_token_is_in_the_acl_s_log_or_samples(jwt: Assembly) -> None:
    logging = jwt.properties("AWS::WAFv2::LoggingConfiguration")
    redacted = [field.get("SingleHeader", {}).get("Name") for field in logging["RedactedFields"]]
    assert set(SECRET_HEADERS) <= set(redacted)
    assert 'sampledRequestsEnabled": true' not in json.dumps(jwt.properties("AWS::WAFv2::WebACL"))
    (kept,) = logging["LoggingFilter"]["Filters"]
    actions = {each["ActionCondition"]["Action"] for each in kept["Conditions"]}
    assert (logging["LoggingFilter"]["DefaultBehavior"], kept["Behavior"], kept["Requirement"]) == (
        "DROP", "KEEP", "MEETS_ANY",
    )  # fmt: skip
    assert actions == {"BLOCK", "COUNT", "EXCLUDED_AS_COUNT"}, "what is only counted is let through in the end"
    groups = [g["Properties"].get("LogGroupName") for g in jwt.resources("AWS::Logs::LogGroup")]
    assert "aws-waf-logs-slipway-prod-tickets" in groups
