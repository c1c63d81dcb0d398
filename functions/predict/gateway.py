"""API Gateway's REST proxy events as requests, and answers as what it sends back."""

import json
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from slipway.errors import MalformedRequest
from slipway.requests import JSON, check_content_type

Event = Mapping[str, Any]
Response = dict[str, Any]
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Request:
    """One event. Its headers are looked up whatever their case."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self.method: str = event["httpMethod"]
        self.path: str = event["path"]

    @property
    def id(self) -> str:
        """API Gateway's own id of the request."""
        return str((self._event.get("requestContext") or {}).get("requestId", ""))

    @property
    def sticky_id(self) -> str:
        """The caller's id of the request, which its retries keep; else API Gateway's."""
        return self.header("x-request-id") or self.id

    def header(self, name: str) -> str | None:
        """The header whose name in lower case is ``name``."""
        headers = self._event.get("headers") or {}
        for given in headers:
            if len(given) == len(name) and given.lower() == name:
                return str(headers[given])
        return None

    def json_body(self) -> bytes:
        """The body of what says it is JSON, or says nothing. Raises UnsupportedMedia."""
        check_content_type(self.header("content-type"))
        return self.body()

    def body(self) -> bytes:
        """The body as it was sent. Raises MalformedRequest."""
        body = self._event.get("body") or ""
        if not self._event.get("isBase64Encoded"):
            return str(body).encode("utf-8", "surrogatepass")
        try:
            return a2b_base64(body, strict_mode=True)
        except ValueError as error:
            raise MalformedRequest("The body is marked as base64 and is not.") from error


def respond(
    document: Any, status: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in JSON."""
    return respond_text(_to_json(document), status, content_type, headers)


def respond_text(
    body: str, status: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that is a text already."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type, **(headers or {})},
        "body": body,
        "isBase64Encoded": False,
    }
