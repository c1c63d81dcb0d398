"""What API Gateway says where callers are refused at the door: by what the API asks of them (infra/door.py)."""

from http import HTTPStatus

from infra.gateway_problems import GATEWAY_PROBLEMS, GatewayProblem, Type

_BEAR = "Send the header Authorization: Bearer <token>, with a token that the API's issuer gave you for this API."
_SIGN = "Sign the request with Signature Version 4 for the service execute-api and the API's region."
_WHO = {"WWW-Authenticate": "'Bearer'"}

# What is refused otherwise, by what the API asks of its callers.
DOOR_PROBLEMS: dict[str, tuple[GatewayProblem, ...]] = {
    "api-key": (),
    "jwt": (
        GatewayProblem(
            response_type=Type.UNAUTHORIZED,
            status=HTTPStatus.UNAUTHORIZED,
            detail="The header Authorization is missing or has no bearer token.",
            remedy=_BEAR,
            headers=_WHO,
        ),
        GatewayProblem(
            # The authorizer's "no": an answer to who the caller is, for which API Gateway's own status is 403.
            response_type=Type.ACCESS_DENIED,
            status=HTTPStatus.UNAUTHORIZED,
            detail="The token is not one that this API takes.",
            remedy=_BEAR,
            headers={"WWW-Authenticate": "'Bearer error=\"invalid_token\"'"},
            reason="$context.authorizer.reason",
        ),
        *(
            GatewayProblem(
                response_type=kind,
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                detail="The token could not be checked: its issuer does not answer.",
                remedy="Retry in half a minute; if it stays, look at the log of the function that checks tokens.",
                headers={"Retry-After": "'30'"},
            )
            for kind in (Type.AUTHORIZER_FAILURE, Type.AUTHORIZER_CONFIGURATION_ERROR)
        ),
    ),
    "iam": (
        GatewayProblem(
            # Here also what API Gateway says of a request without a signature, to whatever path.
            response_type=Type.MISSING_AUTHENTICATION_TOKEN,
            status=HTTPStatus.FORBIDDEN,
            detail="The request is not signed.",
            remedy=_SIGN,
        ),
        GatewayProblem(
            response_type=Type.INVALID_SIGNATURE,
            status=HTTPStatus.FORBIDDEN,
            detail="The signature of the request is wrong.",
            remedy=_SIGN,
        ),
        GatewayProblem(
            response_type=Type.EXPIRED_TOKEN,
            status=HTTPStatus.FORBIDDEN,
            detail="The credentials that signed the request have expired.",
            remedy="Get new ones and sign again.",
        ),
        GatewayProblem(
            response_type=Type.ACCESS_DENIED,
            status=HTTPStatus.FORBIDDEN,
            detail="The identity that signed the request may not use this API.",
            remedy="Ask for execute-api:Invoke on the InvokeArn that the deployment printed.",
        ),
    ),
}


def gateway_problems(auth: str) -> tuple[GatewayProblem, ...]:
    """Those of an API that asks its callers for ``auth``."""
    problems = {problem.response_type.response_type: problem for problem in GATEWAY_PROBLEMS}
    problems |= {problem.response_type.response_type: problem for problem in DOOR_PROBLEMS[auth]}
    return tuple(problems.values())
