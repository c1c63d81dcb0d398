import json

import pytest

from infra.gateway_problems import GATEWAY_PROBLEMS, GatewayProblem
from tests.infra.conftest import Assembly, Json

STATUSES = {
    "INVALID_API_KEY": 403,
    "ACCESS_DENIED": 403,
    "WAF_FILTERED": 403,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "INTEGRATION_TIMEOUT": 504,
    "INTEGRATION_FAILURE": 503,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
}


@pytest.fixture(scope="module")
def responses(aws: Assembly) -> dict[str, Json]:
    found = [resource["Properties"] for resource in aws.resources("AWS::ApiGateway::GatewayResponse")]
    return {response["ResponseType"]: response for response in found}


def body(response: Json) -> Json:
    parsed: Json = json.loads(response["ResponseTemplates"]["application/json"])
    return parsed


def test_every_refusal_has_its_status(responses: dict[str, Json]) -> None:
    assert {kind: int(response["StatusCode"]) for kind, response in responses.items()} == STATUSES


@pytest.mark.parametrize("kind", STATUSES)
def test_every_refusal_is_a_problem_document(responses: dict[str, Json], kind: str) -> None:
    problem = body(responses[kind])
    assert list(problem) == ["type", "title", "status", "detail", "remedy"]
    assert problem["status"] == STATUSES[kind]
    assert all(str(value) for value in problem.values())
    headers = responses[kind]["ResponseParameters"]
    assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"


@pytest.mark.parametrize("kind", ["THROTTLED", "INTEGRATION_FAILURE"])
def test_what_passes_says_when_to_retry(responses: dict[str, Json], kind: str) -> None:
    assert "gatewayresponse.header.Retry-After" in responses[kind]["ResponseParameters"]


def test_the_remedy_for_a_missing_key_names_the_header(responses: dict[str, Json]) -> None:
    assert "x-api-key" in body(responses["INVALID_API_KEY"])["remedy"]


@pytest.mark.parametrize("problem", GATEWAY_PROBLEMS, ids=lambda problem: problem.response_type.response_type)
def test_no_text_holds_a_mapping_variable_by_accident(problem: GatewayProblem) -> None:
    assert "$" not in problem.body()  # API Gateway would replace it
