"""What goes wrong for a caller: one tree, below SlipwayError.

    ClientError
    ├── NotSent              refused here, before anything was sent: an argument or a text
    ├── RequestRefused       the API refuses this request, and will again            4xx
    │   ├── Unauthorized     no key, token or signature, or none that may do this    401, 403
    │   └── TooManyRequests  a rate or quota is used up; trying again did not help   429
    ├── Unavailable          no answer in time, or the service failed                5xx
    └── BadAnswer            what answered does not speak this API

No message holds a text, a key or a token.
"""

import json
import re
from http import HTTPStatus
from typing import Any

from slipway.errors import SlipwayError


class ClientError(SlipwayError):
    """A call that gave no result.

    ``status`` is the HTTP answer's, None if there was none; ``field`` and ``instance`` are from its problem document
    (RFC 9457). ``row`` is the place of the text that is to blame among those given, from 0, None if it is not one text.
    ``retry_after`` is in seconds, 0 if the answer did not say.
    """

    def __init__(
        self,
        detail: str,
        *,
        remedy: str = "",
        status: int | None = None,
        field: str = "",
        instance: str = "",
        row: int | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(detail, remedy=remedy)
        self.status = status
        self.field = field
        self.instance = instance
        self.row = row
        self.retry_after = retry_after


class NotSent(ClientError):
    """Refused on this side."""


class RequestRefused(ClientError):
    """The API will not answer this request as it is."""


class Unauthorized(RequestRefused):
    """The key, token or signature is missing, not taken, or may not do this."""


class TooManyRequests(RequestRefused):
    """A rate or quota is used up, and stayed so while the client tried again."""


class Unavailable(ClientError):
    """No answer, or one that says that the service failed."""


class BadAnswer(ClientError):
    """Not an answer of this API."""


def to_error(status: int, body: bytes, retry_after: float) -> ClientError:
    """The error that an answer other than 200 stands for.

    ``body`` is a problem document of the service or of its gateway, or anything: what is in front of an API has pages
    of its own. Only members that are texts are taken from it.
    """
    problem = _texts(body)
    kind = _kind(status)
    field = problem.get("field", "")
    row = re.match(r"instances\[(\d+)\]", field)
    return kind(
        problem.get("detail") or problem.get("message") or f"The answer is {_named(status)}.",
        remedy=problem.get("remedy") or _REMEDIES.get(kind, ""),
        status=status,
        field=field,
        instance=problem.get("instance", ""),
        row=int(row[1]) if row else None,
        retry_after=retry_after,
    )


_REMEDIES: dict[type[ClientError], str] = {
    Unauthorized: "Give the client the api_key of a usage plan of this API, or the credential that it asks for.",
    TooManyRequests: "Ask more slowly, or for a higher rate or quota.",
    Unavailable: "Try again later; if it stays, look at the function's log.",
    BadAnswer: "Check the URL: it is the ApiUrl that the deployment printed, stage included.",
}


def _kind(status: int) -> type[ClientError]:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Unauthorized
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests
    return {4: RequestRefused, 5: Unavailable}.get(status // 100, BadAnswer)


def _named(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


def _texts(body: bytes) -> dict[str, str]:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    members = document.items() if isinstance(document, dict) else ()
    return {name: value for name, value in members if isinstance(value, str)}
