"""Errors → HTTP: the one place that maps the exception tree to statuses, and RFC 9457 problem documents."""

from typing import Any

from slipway.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    ModelUnavailable,
    RequestError,
    RequestTooLarge,
    SlipwayError,
    UnknownResource,
    UnsupportedMedia,
)

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_STATUS: dict[type[SlipwayError], tuple[int, str]] = {
    MalformedRequest: (400, "Bad Request"),
    UnknownResource: (404, "Not Found"),
    MethodNotAllowed: (405, "Method Not Allowed"),
    RequestTooLarge: (413, "Content Too Large"),
    UnsupportedMedia: (415, "Unsupported Media Type"),
    InvalidRequest: (422, "Unprocessable Content"),
    ModelUnavailable: (503, "Service Unavailable"),
}


def to_problem(error: SlipwayError, instance: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and problem document of an error; ``instance`` is the request's id.

    ``error`` repeats the words where clients of Triton and TEI look for them. What is not the caller's doing is a 500
    that tells the caller nothing but where to look.
    """
    status, title = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), (500, "Internal Server Error"))
    detail, remedy = error.detail, error.remedy
    if status == 500:
        detail = "Something failed here, not in your request."
        remedy = "Try again; if it stays, look for the instance in the function's log."
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "instance": instance}
    problem |= {"detail": detail, "error": f"{detail} {remedy}".strip()}
    if remedy:
        problem["remedy"] = remedy
    if isinstance(error, RequestError) and error.field:
        problem["field"] = error.field
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return status, headers, problem
