"""API Gateway's question about a token → a policy that lets its bearer in, or refuses and says why.

A refusal is an answer, which API Gateway keeps for a minute as it keeps the others, and not an error: only an issuer
that cannot be asked is one, and then the caller is told to try again.
"""

import logging
import time
from typing import Any

from functions.authorize.keys import IssuerKeys
from functions.authorize.tokens import Expected, TokenRefused, verify
from slipway.settings.authorize import AuthorizeSettings

logger = logging.getLogger()
logger.setLevel(logging.INFO)
settings = AuthorizeSettings.from_env()
expected = Expected(issuer=settings.jwt_issuer, audiences=settings.audiences(), scope=settings.jwt_scope)
keys = IssuerKeys(settings.jwt_issuer)
NOBODY = "nobody"
_SCHEME = "bearer "


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Raises KeysUnavailable, which API Gateway tells the caller as 503."""
    method = str(event["methodArn"])
    given = str(event.get("authorizationToken", ""))
    try:
        if given[: len(_SCHEME)].lower() != _SCHEME:
            raise TokenRefused("The header Authorization has no bearer token.")
        token = given[len(_SCHEME) :].strip()
        caller = verify(token, find_key=keys.find, expected=expected, now=time.time())
    except TokenRefused as refused:
        logger.info("refused", extra={"reason": refused.reason})
        return {**_policy("Deny", method, NOBODY), "context": {"reason": refused.reason}}
    return _policy("Allow", method, caller or NOBODY)


def _policy(effect: str, method: str, principal: str) -> dict[str, Any]:
    """For all of the stage: API Gateway asks once for a token, and uses the answer for other paths as well.

    arn:aws:execute-api:<region>:<account>:<api>/<stage>/<method>/<path>
    """
    api, stage = method.split("/")[:2]
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": f"{api}/{stage}/*"}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
