"""What a body asks, in whichever of the three dialects it is written, and how its answer is written.

SageMaker has one path for all bodies, so that the body itself tells its dialect: ``instances`` is TF-Serving's V1,
``inputs`` that are tensors the Open Inference Protocol's V2, ``inputs`` that are texts TEI's. In JSON Lines each line
is such a body, or one instance of V1, and so is each line of the answer.
"""

import json
from collections.abc import Sequence
from typing import Any

from functions.endpoint.engine import Engine
from functions.endpoint.service import Call
from slipway.answers import Answer
from slipway.dialects import tei, v1, v2
from slipway.errors import InvalidRequest, RequestError, RequestTooLarge, UnsupportedMedia
from slipway.requests import JSON, Limits, check_content_type, check_size, read_json

JSON_LINES = "application/jsonlines"
_LINES = {JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson"}
_ACCEPTED = {JSON, "*/*", "application/*", *_LINES}
_TRITON = "application/vnd.sagemaker-triton.binary+json"
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def is_lines(content_type: str | None) -> bool:
    """Whether a body says that it is JSON Lines."""
    return _kind(content_type) in _LINES


def check_accept(accept: str | None) -> None:
    """Raises UnsupportedMedia for a caller that reads neither JSON nor JSON Lines. An answer has its body's form."""
    if accept and not {_kind(part) for part in accept.split(",")} & _ACCEPTED:
        raise UnsupportedMedia(f"The answer is {JSON}, not {accept[:100]!r}.", remedy=f"Accept {JSON} or {JSON_LINES}.")


def read_invocation(body: bytes, content_type: str | None, limits: Limits, engine: Engine) -> Call[str]:
    """A body of SageMaker's one path. Raises a RequestError that names the field and the remedy."""
    check_size(body, limits)
    if is_lines(content_type):
        return _read_lines(body, limits, engine)
    header_bytes = _triton_header_bytes(content_type)
    return _as_text(call_v2(body, header_bytes, limits, engine) if header_bytes else _read(body, limits, engine))


def read_v2(body: bytes, header_bytes: str | None, limits: Limits, engine: Engine) -> Call[str]:
    """A body of the Open Inference Protocol's own path. Raises a RequestError."""
    return _as_text(call_v2(body, header_bytes, limits, engine))


def call_v2(body: bytes, header_bytes: str | None, limits: Limits, engine: Engine) -> Call[v2.InferAnswer]:
    """As ``read_v2``, before the answer is written."""
    parsed = v2.parse(body, limits, header_bytes)
    manifest = engine.predictor.manifest
    return Call([parsed.request], lambda answers: v2.render(answers[0], parsed, manifest, engine.backend))


def _as_text(call: Call[Any]) -> Call[str]:
    return Call(call.requests, lambda answers: to_json(call.render(answers)))


def _read(body: bytes, limits: Limits, engine: Engine) -> Call[Any]:
    document = read_json(body)
    inputs = document.get("inputs")
    if "instances" in document:
        return _read_v1(body, limits, engine)
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict):
        return call_v2(body, None, limits, engine)
    if "inputs" in document:
        parsed = tei.parse(body, limits)
        return Call([parsed.request], lambda answers: tei.render(answers[0], single=parsed.single))
    raise InvalidRequest(
        "The body has neither instances nor inputs.",
        remedy='Send {"instances": ["…"]}, {"inputs": "…"} or {"inputs": [{"name": "text", …}]}.',
    )


def _read_v1(body: bytes, limits: Limits, engine: Engine) -> Call[dict[str, Any]]:
    request = v1.parse(body, limits)
    return Call([request], lambda answers: {"predictions": v1.render(answers[0]), **_by(engine)})


def _read_lines(body: bytes, limits: Limits, engine: Engine) -> Call[str]:
    """Calls of one request each, as one call."""
    calls = [
        _read_line(line, number, limits, engine) for number, line in enumerate(body.splitlines(), 1) if line.strip()
    ]
    if not calls:
        raise InvalidRequest("The body has no line.", remedy='Send {"text": "…"} in each line.')
    requests = [call.requests[0] for call in calls]
    texts = sum(len(request.texts) for request in requests)
    if texts > limits.instances:
        raise RequestTooLarge(f"{texts:,} texts were sent; {limits.instances:,} fit.", remedy="Send fewer lines.")

    def render(answers: Sequence[Sequence[Answer]]) -> str:
        rendered = (call.render([own]) for call, own in zip(calls, answers, strict=True))
        return "".join(to_json(document) + "\n" for document in rendered)

    return Call(requests, render)


def _read_line(line: bytes, number: int, limits: Limits, engine: Engine) -> Call[Any]:
    place = f"line[{number}]"
    try:
        document = read_json(line)
        if document.keys() & {"instances", "inputs"}:
            call = _read(line, limits, engine)
        else:
            request = v1.parse(json.dumps({"instances": [document]}).encode(), limits)
            call = Call([request], lambda answers: {**v1.render(answers[0])[0], **_by(engine)})
    except RequestError as error:
        field = f"{place}.{error.field}" if error.field else place
        raise type(error)(f"Line {number}: {error.detail}", field=field, remedy=error.remedy) from error
    (asked,) = call.requests
    return Call([asked._replace(source=f"{place}.{asked.source}")], call.render)


def _by(engine: Engine) -> dict[str, str]:
    return {"model_version": engine.predictor.manifest.version, "backend": engine.backend}


def _kind(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()


def _triton_header_bytes(content_type: str | None) -> str | None:
    """Where the JSON ends in Triton's own form for SageMaker. Raises UnsupportedMedia for what is not JSON at all."""
    check_content_type(content_type)
    if _kind(content_type) != _TRITON:
        return None
    return (content_type or "").partition("json-header-size=")[2].partition(";")[0].strip(' "')
