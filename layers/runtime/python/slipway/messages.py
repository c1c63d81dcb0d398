"""The REST dialect ↔ requests and predictions: parsing that names what is wrong, and answers in the caller's words.

The dialect is TF-Serving's V1: ``{"instances": ["…", {"text": "…"}], "parameters": {…}}``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.artifact import Manifest
from slipway.encoding import TRUNCATIONS, Truncation
from slipway.errors import (
    InvalidRequest,
    MalformedRequest,
    ModelUnavailable,
    RequestError,
    RequestTooLarge,
    SlipwayError,
    UnknownResource,
    UnsupportedMedia,
)
from slipway.predictor import Prediction

JSON = "application/json"
PROBLEM = "application/problem+json"
_READ_AS_JSON = {JSON, "application/x-www-form-urlencoded", "text/plain"}
RETRY_AFTER_SECONDS = 5
_FEWER = "Send fewer or shorter texts in one request."

_STATUS: dict[type[SlipwayError], tuple[int, str]] = {
    MalformedRequest: (400, "Bad Request"),
    UnknownResource: (404, "Not Found"),
    RequestTooLarge: (413, "Content Too Large"),
    UnsupportedMedia: (415, "Unsupported Media Type"),
    InvalidRequest: (422, "Unprocessable Content"),
    ModelUnavailable: (503, "Service Unavailable"),
}


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What a caller asks: at least one text. ``top_k`` limits the labels in ``scores``; None gives all of them."""

    texts: list[str]
    truncation: Truncation = "right"
    top_k: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request that can be told before any text is encoded."""

    body_bytes: int
    instances: int


def check_content_type(header: str | None) -> None:
    """Refuse what says that it is not JSON in UTF-8.

    ``application/x-www-form-urlencoded`` passes: `curl -d` sends it unasked, as in TF-Serving's own examples.
    """
    kind, _, parameters = (header or JSON).lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if not (kind.strip() in _READ_AS_JSON or kind.strip().endswith("+json")) or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMedia(f"The content type {header!r} is not read here.", remedy=f"Send {JSON} in UTF-8.")


def parse_predict(body: bytes, limits: Limits) -> PredictRequest:
    """Read a V1 request. Raises a RequestError that names the field, what is wrong with it, and the remedy."""
    if len(body) > limits.body_bytes:
        raise RequestTooLarge(f"The body has {len(body):,} bytes; {limits.body_bytes:,} fit.", remedy=_FEWER)
    document = _parse_json(body)
    _only(document, ("instances", "parameters"), "")
    instances = document.get("instances")
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest(
            f"instances must be a list of at least one text, not {_named(instances)}.",
            field="instances",
            remedy='Send {"instances": ["a text"]}.',
        )
    if len(instances) > limits.instances:
        raise RequestTooLarge(
            f"{len(instances):,} instances were sent; {limits.instances:,} fit.",
            field="instances",
            remedy=_FEWER,
        )
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidRequest(f"parameters must be an object, not {_named(parameters)}.", field="parameters")
    _only(parameters, ("truncate", "top_k"), "parameters.")
    return PredictRequest(
        [_text(instance, row) for row, instance in enumerate(instances)], _truncation(parameters), _top_k(parameters)
    )


def render_predictions(
    predictions: Sequence[Prediction], manifest: Manifest, top_k: int | None = None
) -> list[dict[str, Any]]:
    """Each prediction as V1 answers it, its scores from the highest down."""
    return [_render(prediction, manifest, top_k) for prediction in predictions]


def to_problem(error: SlipwayError, instance: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and RFC 9457 document of an error; ``instance`` is the request's id.

    What is not the caller's doing is a 500 that tells the caller nothing but where to look.
    """
    status, title = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), (500, "Internal Server Error"))
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "instance": instance}
    problem["detail"] = error.detail if status != 500 else "Something failed here, not in your request."
    remedy = error.remedy if status != 500 else "Try again; if it stays, look for the instance in the function's log."
    if remedy:
        problem["remedy"] = remedy
    if isinstance(error, RequestError) and error.field:
        problem["field"] = error.field
    return status, {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}, problem


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} at {where}.", remedy="Check quotes and commas."
        ) from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; thousands of nested brackets
        raise MalformedRequest("The body is JSON that nobody sends: its numbers or its nesting have no end.") from error
    if not isinstance(document, dict):
        raise InvalidRequest(
            f"The body must be a JSON object, not {_named(document)}.", remedy='Send {"instances": […]}.'
        )
    return document


def _text(instance: Any, row: int) -> str:
    field = f"instances[{row}]"
    if isinstance(instance, dict):
        _only(instance, ("text",), f"{field}.")
        instance, field = instance.get("text"), f"{field}.text"
    if not isinstance(instance, str):
        raise InvalidRequest(
            f"{field} must be a text, not {_named(instance)}.", field=field, remedy='Send "…" or {"text": "…"}.'
        )
    check_text(instance, field)
    return instance


def check_text(text: str, field: str) -> None:
    """Refuse what no tokenizer takes. Raises InvalidRequest."""
    if not text.strip():
        raise InvalidRequest(f"{field} is empty.", field=field, remedy="Leave empty texts out.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"{field} has half of a surrogate pair at character {error.start}: that is no Unicode text.",
            field=field,
            remedy="Cut texts between characters, not inside an escaped emoji.",
        ) from error


def _truncation(parameters: dict[str, Any]) -> Truncation:
    value = parameters.get("truncate", "right")
    if value not in TRUNCATIONS:
        raise InvalidRequest(
            f"parameters.truncate must be one of {', '.join(TRUNCATIONS)}, not {_named(value)}.",
            field="parameters.truncate",
        )
    return value  # type: ignore[no-any-return]


def _top_k(parameters: dict[str, Any]) -> int | None:
    value = parameters.get("top_k")
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidRequest(
            f"parameters.top_k must be a whole number from 1, not {_named(value)}.", field="parameters.top_k"
        )
    return value


def _only(document: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
    if unknown := next((key for key in document if key not in known), None):
        field = prefix + unknown[:40].encode("utf-8", "backslashreplace").decode()
        raise InvalidRequest(f"{field!r} is not a known field.", field=field, remedy=f"Known: {', '.join(known)}.")


def _named(value: Any) -> str:
    """What a value is, without its content: it may be somebody's text."""
    kinds = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    if value == [] and isinstance(value, list):
        return "an empty list"
    return kinds.get(type(value), "null")


def _render(prediction: Prediction, manifest: Manifest, top_k: int | None) -> dict[str, Any]:
    """In a multi-label task ``labels`` are those that apply, possibly none; ``label`` is the likeliest all the same."""
    labels, scores = manifest.labels, prediction.probabilities.tolist()
    order = sorted(range(len(labels)), key=scores.__getitem__, reverse=True)
    applying = {"labels": [labels[i] for i in order if scores[i] >= 0.5]} if manifest.task == "multi-label" else {}
    return applying | {
        "label": labels[order[0]],
        "score": scores[order[0]],
        "scores": {labels[i]: scores[i] for i in order[:top_k]},
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
    }
