"""What API Gateway itself refuses, before any function runs, said like its other errors: RFC 9457, with a remedy."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from aws_cdk import aws_apigateway as apigateway

Type = apigateway.ResponseType


@dataclass(frozen=True, kw_only=True)
class GatewayProblem:
    """One kind of refusal, as the problem document that the caller gets."""

    response_type: apigateway.ResponseType
    status: HTTPStatus
    detail: str
    remedy: str
    headers: dict[str, str] = field(default_factory=dict)
    reason: str = ""  # a variable of API Gateway's that says more

    def body(self) -> str:
        """The JSON document: a static text, because API Gateway knows nothing of the request worth telling."""
        document = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "remedy": self.remedy,
        }
        return json.dumps({**document, "reason": self.reason} if self.reason else document)


_NO_KEY = "Send the header x-api-key with a key of this API's usage plan."
_LARGE = "Send fewer or shorter texts in a request, several requests, or use the batch route."

GATEWAY_PROBLEMS = (
    GatewayProblem(
        response_type=Type.INVALID_API_KEY,
        status=HTTPStatus.FORBIDDEN,
        detail="The API key is missing, unknown, disabled or of another API.",
        remedy=_NO_KEY,
    ),
    GatewayProblem(
        response_type=Type.ACCESS_DENIED,
        status=HTTPStatus.FORBIDDEN,
        detail="The caller may not use this API.",
        remedy="Ask the API's owner for access.",
    ),
    GatewayProblem(
        response_type=Type.WAF_FILTERED,
        status=HTTPStatus.FORBIDDEN,
        detail="The web ACL before this API refused the request: for its rate, its address or what it asks for.",
        remedy="Ask more slowly; if it stays, ask the API's owner what the log of the web ACL says.",
    ),
    GatewayProblem(
        # API Gateway's word for a path or method that no resource serves; its own status for it, 403, misleads.
        response_type=Type.MISSING_AUTHENTICATION_TOKEN,
        status=HTTPStatus.NOT_FOUND,
        detail="This API has no such path or method.",
        remedy="Check the URL: it starts with the ApiUrl that the deployment printed, stage included.",
    ),
    GatewayProblem(
        response_type=Type.RESOURCE_NOT_FOUND,
        status=HTTPStatus.NOT_FOUND,
        detail="This API has no such path or method.",
        remedy="Check the URL: it starts with the ApiUrl that the deployment printed, stage included.",
    ),
    GatewayProblem(
        response_type=Type.REQUEST_TOO_LARGE,
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        detail="The request is larger than API Gateway passes on: 10 MB.",
        remedy=_LARGE,
    ),
    GatewayProblem(
        response_type=Type.UNSUPPORTED_MEDIA_TYPE,
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        detail="This content type cannot be read.",
        remedy="Send JSON with the header content-type: application/json.",
    ),
    GatewayProblem(
        response_type=Type.THROTTLED,
        status=HTTPStatus.TOO_MANY_REQUESTS,
        detail="Requests come faster than this API or this key's usage plan allows.",
        remedy="Retry with growing pauses, send several texts in a request, or ask for a higher rate.",
        headers={"Retry-After": "'1'"},
    ),
    GatewayProblem(
        response_type=Type.QUOTA_EXCEEDED,
        status=HTTPStatus.TOO_MANY_REQUESTS,
        detail="The daily quota of this API key is used up.",
        remedy="Wait for midnight UTC, or ask for a higher quota.",
    ),
    GatewayProblem(
        response_type=Type.INTEGRATION_TIMEOUT,
        status=HTTPStatus.GATEWAY_TIMEOUT,
        detail="The answer took longer than API Gateway waits: 29 seconds.",
        remedy=_LARGE,
    ),
    GatewayProblem(
        # A function over its concurrency, or one that cannot start: worth another try.
        response_type=Type.INTEGRATION_FAILURE,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail="The classifier could not be reached.",
        remedy="Retry in a few seconds; if it stays, look at the function's log and its Throttles metric.",
        headers={"Retry-After": "'2'"},
    ),
    GatewayProblem(
        response_type=Type.DEFAULT_4_XX,
        status=HTTPStatus.BAD_REQUEST,
        detail="API Gateway could not accept the request.",
        remedy="Compare the request with the API's documentation.",
    ),
    GatewayProblem(
        response_type=Type.DEFAULT_5_XX,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail="The API failed to answer.",
        remedy="Retry; if it stays, look for the request id of the x-amzn-requestid header in the function's log.",
    ),
)


def add_gateway_problems(api: apigateway.RestApi, problems: Iterable[GatewayProblem]) -> None:
    """Replace API Gateway's own error bodies by problem documents."""
    for problem in problems:
        api.add_gateway_response(
            f"Problem{problem.response_type.response_type}",
            type=problem.response_type,
            status_code=str(problem.status.value),
            response_headers={"Content-Type": "'application/problem+json'", **problem.headers},
            # API Gateway takes the application/json template whatever the caller accepts.
            templates={"application/json": problem.body()},
        )
