"""The GPU endpoint as the function calls it: a request's texts out, answers in, or why there are none.

The body is V1's, as a caller's is; the container answers it by the same code.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from slipway.answers import Answer
from slipway.dialects import v1
from slipway.requests import PredictRequest

MAX_BODY_BYTES = 5_000_000  # of SageMaker; documented as 25 MB in one place and 6 MB in another
_GONE = {"NoSuchEndpoint", "ValidationError", "AccessDeniedException", "ModelNotReadyException"}
_THROTTLED = {"ThrottlingException", "ServiceUnavailable", "ServiceUnavailableException"}


class GpuFailure(Exception):
    """No answer. ``kind`` is one word for metrics; ``lasting`` says that asking again soon is vain."""

    def __init__(self, kind: str, *, lasting: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.lasting = lasting


class GpuAnswers(NamedTuple):
    """What the endpoint answered, and which version did."""

    answers: list[Answer]
    model_version: str
    backend: str


Invoke = Callable[[bytes], bytes]


def predict(invoke: Invoke, request: PredictRequest) -> GpuAnswers:
    """Ask the endpoint. Raises GpuFailure, and nothing else."""
    body = to_body(request)
    if len(body) > MAX_BODY_BYTES:
        raise GpuFailure("size")
    try:
        return read_answers(invoke(body), request)
    except GpuFailure:
        raise
    except Exception as error:
        raise failure_of(error) from error


def to_body(request: PredictRequest) -> bytes:
    """The request in V1, with all of its parameters."""
    asked = request.parameters
    parameters = {
        "truncate": asked.truncation,
        "top_k": asked.top_k,
        "raw_scores": asked.raw_scores,
        "abstain_below": asked.abstain_below,
    }
    return json.dumps({"instances": request.texts, "parameters": parameters}, ensure_ascii=False).encode()


def read_answers(raw: bytes, request: PredictRequest) -> GpuAnswers:
    """What ``dialects.v1`` rendered, as it was before. Raises GpuFailure for anything else."""
    try:
        document = json.loads(raw)
        answers = [v1.read(each) for each in document["predictions"]]
        found = GpuAnswers(answers, str(document["model_version"]), str(document["backend"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise GpuFailure("answer") from error
    if len(answers) != len(request.texts):
        raise GpuFailure("answer")
    return found


def failure_of(error: Exception) -> GpuFailure:
    """What an error of botocore means for the next request.

    At zero instances SageMaker says that the component "has no capacity"; the alarm on that very failure wakes it.
    """
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code, name = str(response.get("Error", {}).get("Code", "")), type(error).__name__
    if "capacity" in str(error):
        return GpuFailure("capacity", lasting=True)
    if code == "ModelError":  # the container's own answer
        status = int(response.get("OriginalStatusCode", 500))
        return GpuFailure("full" if status == 503 else "refused" if status < 500 else "failed")
    if code in _THROTTLED:
        return GpuFailure("throttled")
    if code in _GONE:
        return GpuFailure("missing", lasting=True)
    return GpuFailure("timeout" if "Timeout" in name else "unreachable" if "Connect" in name else "failed")
