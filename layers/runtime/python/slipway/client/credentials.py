"""Who the caller is, as the API asks for it: a key, a token, or the signature of an AWS identity.

A credential gives the headers of one try of a request, anew each time: tokens end, and a signature holds five minutes.
"""

import re
from collections.abc import Callable
from typing import Any

from slipway.client.address import check_key
from slipway.client.errors import NotSent

Credential = Callable[[str, str, bytes], dict[str, str]]  # method, URL, body -> headers
_SERVICE = "execute-api"
_REGION = re.compile(r"https://[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/")


def api_key(key: str) -> Credential:
    """Sends a key of a usage plan, or nothing if it is empty. Raises NotSent for what is no header."""
    checked = check_key(key)
    return lambda *_: {"x-api-key": checked} if checked else {}


def bearer(token: str | Callable[[], str]) -> Credential:
    """Sends a JSON Web Token; a function is asked for one before every try.

    Raises NotSent, without the token, for what is none.
    """
    if isinstance(token, str):
        checked = _check_token(token)
        return lambda *_: {"Authorization": f"Bearer {checked}"}
    return lambda *_: {"Authorization": f"Bearer {_check_token(token())}"}


def signature(region: str = "") -> Credential:
    """Signs as the AWS identity that botocore finds: environment, profile, role.

    ``region`` is needed only for an API with a name of your own. Raises NotSent without botocore.
    """
    try:
        import botocore.session
    except ImportError:
        raise NotSent(
            "Signing needs botocore.", field="credential", remedy="Install it: pip install botocore."
        ) from None
    session = botocore.session.Session()
    return lambda method, url, body: _signed(session, region or _region_of(url), method, url, body)


def _region_of(url: str) -> str:
    named = _REGION.match(url)
    if not named:
        raise NotSent("The URL names no region to sign for.", field="region", remedy="Give signature() the region.")
    return named[1]


def _signed(session: Any, region: str, method: str, url: str, body: bytes) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    found = session.get_credentials()
    if found is None:
        raise NotSent("There are no AWS credentials.", field="credential", remedy="Log in, or set AWS_PROFILE.")
    request = AWSRequest(method, url, data=body)
    SigV4Auth(found.get_frozen_credentials(), _SERVICE, region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _check_token(token: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", token.strip()):
        raise NotSent("The token is no JSON Web Token.", field="token", remedy="Get one from the API's issuer.")
    return token.strip()
