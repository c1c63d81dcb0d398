"""Who is let in: API keys, signatures of AWS identities, or JSON Web Tokens; one of them for a deployment.

One Lambda authorizer serves every issuer, Cognito included. API Gateway's own Cognito authorizer takes the identity
tokens of any client of the pool, and no other issuer's; HTTP APIs know issuers but no usage plans, web ACLs or
responses of our own.
"""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.log_groups import log_group
from infra.packaging import FunctionCode, packed_function
from infra.settings import Deployment
from slipway.settings.authorize import AuthorizeSettings

AUTHORIZE = FunctionCode(source="functions/authorize", handler="functions.authorize.handler.handler")
# An answer about a token is used again for so long: a token may be taken that much longer than it says.
REMEMBERED = cdk.Duration.minutes(1)
_MEMORY_MB = 256
_TIMEOUT = cdk.Duration.seconds(10)  # two requests to an issuer that takes its time
# Whatever cannot be a bearer token is refused without asking the function.
_BEARER = r"^[Bb][Ee][Aa][Rr][Ee][Rr] [A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"


class TokenDoor(Construct):
    """``function``, which checks tokens, with its ``role``; ``authorizer``, by which API Gateway asks it."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        logs = log_group(self, "Logs", deployment=deployment)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(self.role)
        settings = AuthorizeSettings(
            jwt_issuer=deployment.jwt_issuer, jwt_audience=deployment.jwt_audience, jwt_scope=deployment.jwt_scope
        )
        self.function = packed_function(
            self,
            "Function",
            code=AUTHORIZE,
            deployment=deployment,
            options={
                "description": f"Checks the tokens of who asks the model {deployment.model}",
                "environment": settings.to_env(),
                "memory_size": _MEMORY_MB,
                "timeout": _TIMEOUT,
                "tracing": lambda_.Tracing.ACTIVE,
                "log_group": logs,
                "logging_format": lambda_.LoggingFormat.JSON,
                "role": self.role,
            },
        )
        self.authorizer = apigateway.TokenAuthorizer(
            self, "Authorizer", handler=self.function, results_cache_ttl=REMEMBERED, validation_regex=_BEARER
        )


def method_options(auth: str, *, door: TokenDoor | None) -> apigateway.MethodOptions:
    """What every path asks its callers for, but the pages for people."""
    if auth == "iam":
        return apigateway.MethodOptions(authorization_type=apigateway.AuthorizationType.IAM)
    if door:
        return apigateway.MethodOptions(
            authorization_type=apigateway.AuthorizationType.CUSTOM, authorizer=door.authorizer
        )
    return apigateway.MethodOptions(api_key_required=True)


def open_page(resource: apigateway.IResource) -> None:
    """Let everybody ``GET`` this one."""
    resource.add_method("GET", api_key_required=False, authorization_type=apigateway.AuthorizationType.NONE)


def caller_field(auth: str) -> dict[str, str]:
    """What the access log says of the caller."""
    return {
        "api-key": {"apiKeyId": "$context.identity.apiKeyId"},
        "iam": {"caller": "$context.identity.userArn"},
        "jwt": {"caller": "$context.authorizer.principalId"},
    }[auth]
