"""The Open Inference Protocol, V2 (KServe, Triton): JSON, and its extension for tensors in binary.

Input ``text``, BYTES of shape [texts] or [texts, 1]; outputs ``label`` (BYTES), ``score`` (FP32), ``scores`` (FP32,
[texts, labels], in the order of the manifest), ``tokens`` (INT32), ``truncated`` and ``abstained`` (BOOL). A request
may have several inputs named ``text…``: their texts are one after the other in the outputs.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

from slipway.answers import Answer
from slipway.artifact import Manifest
from slipway.dialects.v2_tensors import INPUT, InferInput, read_inputs
from slipway.errors import InvalidRequest, MalformedRequest
from slipway.requests import (
    Limits,
    Parameters,
    PredictRequest,
    Truncation,
    check_size,
    named,
    only,
    read_flag,
    read_json,
    read_parameters,
    read_texts,
)

BINARY_HEADER = "inference-header-content-length"
_OUTPUTS: dict[str, str] = {
    "label": "BYTES",
    "score": "FP32",
    "scores": "FP32",
    "tokens": "INT32",
    "truncated": "BOOL",
    "abstained": "BOOL",
}
_DEFAULT_OUTPUTS = ("label", "score", "scores")


class WantedOutput(TypedDict):
    """An output by its name; how it is to be sent is not looked at, the answer is JSON."""

    name: Literal["label", "score", "scores", "tokens", "truncated", "abstained"]
    parameters: NotRequired[dict[str, Any]]


class InferParameters(TypedDict, total=False):
    """As everywhere but ``top_k``: ``scores`` has a column for every label."""

    truncate: Truncation
    raw_scores: bool
    abstain_below: float
    binary_data_output: bool


class InferBody(TypedDict):
    """``id`` is repeated in the answer."""

    inputs: list[InferInput]
    id: NotRequired[str]
    parameters: NotRequired[InferParameters]
    outputs: NotRequired[list[WantedOutput] | None]


class OutputTensor(TypedDict):
    """``data`` is flat, row by row."""

    name: str
    datatype: str
    shape: list[int]
    data: list[str | float | int | bool]


class InferAnswer(TypedDict):
    """``parameters`` says what computed it."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    parameters: dict[str, str]
    outputs: list[OutputTensor]


class InferRequest(NamedTuple):
    """``outputs`` are the names that the answer has, ``id`` is repeated in it."""

    request: PredictRequest
    outputs: tuple[str, ...]
    id: str


def parse(body: bytes, limits: Limits, header_bytes: str | None = None) -> InferRequest:
    """``header_bytes`` is the header ``Inference-Header-Content-Length``: where JSON ends and binary tensors begin.

    Raises a RequestError that names the field, what is wrong with it, and the remedy.
    """
    check_size(body, limits)
    document, tail = _split(body, header_bytes)
    only(document, tuple(InferBody.__annotations__))
    parameters = _parameters(document.get("parameters", {}))
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise InvalidRequest(f"id must be a text, not {named(identity)}.", field="id")
    values = read_inputs(document.get("inputs"), tail)
    texts = read_texts(values, INPUT, limits)
    return InferRequest(PredictRequest(texts, parameters, INPUT), _outputs(document.get("outputs")), identity)


def render(answers: Sequence[Answer], request: InferRequest, manifest: Manifest, backend: str) -> InferAnswer:
    """The whole answer."""
    answer: InferAnswer = {
        "model_name": manifest.model,
        "model_version": manifest.version,
        "parameters": {"backend": backend},
        "outputs": [_column(name, answers, manifest) for name in request.outputs],
    }
    if request.id:
        answer["id"] = request.id
    return answer


def server_metadata(version: str) -> dict[str, Any]:
    """The answer of ``GET /v2``."""
    return {"name": "slipway", "version": version, "extensions": ["binary_tensor_data"]}


def model_metadata(manifest: Manifest, versions: Sequence[str]) -> dict[str, Any]:
    """The answer of ``GET /v2/models/<model>``. ``labels`` is what the columns of ``scores`` mean."""
    shapes = {name: [-1, len(manifest.labels)] if name == "scores" else [-1] for name in _OUTPUTS}
    return {
        "name": manifest.model,
        "versions": list(versions),
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": n, "datatype": kind, "shape": shapes[n]} for n, kind in _OUTPUTS.items()],
        "parameters": {"labels": manifest.labels, "task": manifest.task, "max_tokens": manifest.max_tokens},
    }


def _split(body: bytes, header_bytes: str | None) -> tuple[dict[str, Any], bytes]:
    if header_bytes is None:
        return read_json(body), b""
    if not (header_bytes.isascii() and header_bytes.isdigit() and int(header_bytes[:9]) <= len(body)):
        raise MalformedRequest(
            f"Inference-Header-Content-Length must be a number up to the body's {len(body):,} bytes.",
            field=BINARY_HEADER,
        )
    end = int(header_bytes)
    return read_json(body[:end]), body[end:]


def _parameters(values: Any) -> Parameters:
    parameters = read_parameters(values, known=("binary_data_output",))
    # Every client reads an answer in JSON, too: only checked.
    read_flag(values.get("binary_data_output", False), "parameters.binary_data_output")
    if parameters.top_k is not None:
        raise InvalidRequest(
            "parameters.top_k has no meaning here: scores has a column for every label.", field="parameters.top_k"
        )
    return parameters


def _outputs(outputs: Any) -> tuple[str, ...]:
    if outputs is None:
        return _DEFAULT_OUTPUTS
    if not isinstance(outputs, list):
        raise InvalidRequest(f"outputs must be a list, not {named(outputs)}.", field="outputs")
    names = [_output_name(output, f"outputs[{index}]") for index, output in enumerate(outputs)]
    for index, name in enumerate(names):
        if name not in _OUTPUTS:
            raise InvalidRequest(
                f"outputs[{index}].name is no output of the model.",
                field=f"outputs[{index}].name",
                remedy=f"There are {', '.join(_OUTPUTS)}.",
            )
    return tuple(names) or _DEFAULT_OUTPUTS


def _output_name(output: Any, field: str) -> str:
    if not isinstance(output, dict):
        raise InvalidRequest(f"{field} must be an object, not {named(output)}.", field=field)
    only(output, tuple(WantedOutput.__annotations__), f"{field}.")
    if not isinstance(output.get("parameters", {}), dict):
        raise InvalidRequest(f"{field}.parameters must be an object.", field=f"{field}.parameters")
    name = output.get("name")
    return name if isinstance(name, str) else ""


def _column(name: str, answers: Sequence[Answer], manifest: Manifest) -> OutputTensor:
    shape = [len(answers)]
    if name == "scores":
        rows = [dict(answer.scores) for answer in answers]
        data: list[Any] = [row[label] for row in rows for label in manifest.labels]
        shape = [len(answers), len(manifest.labels)]
    elif name == "label":
        data = [answer.label or "" for answer in answers]
    elif name == "abstained":
        data = [answer.label is None for answer in answers]
    else:
        data = [getattr(answer, name) for answer in answers]
    return {"name": name, "datatype": _OUTPUTS[name], "shape": shape, "data": data}
