"""The Open Inference Protocol, V2 (KServe, Triton): JSON, and its extension for tensors in binary.

Input ``text``, BYTES of shape [texts] or [texts, 1]; outputs ``label`` (BYTES), ``score`` (FP32), ``scores`` (FP32,
[texts, labels], in the order of the manifest), ``tokens`` (INT32), ``truncated`` and ``abstained`` (BOOL). A request
may have several inputs named ``text…``: their texts are one after the other in the outputs.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from slipway.answers import Answer
from slipway.artifact import Manifest
from slipway.encoding import Truncation
from slipway.errors import InvalidRequest, MalformedRequest
from slipway.requests import (
    Limits,
    Parameters,
    PredictRequest,
    check_size,
    named,
    only,
    read_flag,
    read_json,
    read_parameters,
    read_texts,
)

BINARY_HEADER = "inference-header-content-length"
_INPUT = "text"
_OUTPUTS: dict[str, str] = {
    "label": "BYTES",
    "score": "FP32",
    "scores": "FP32",
    "tokens": "INT32",
    "truncated": "BOOL",
    "abstained": "BOOL",
}
_DEFAULT_OUTPUTS = ("label", "score", "scores")


class BinarySize(TypedDict, total=False):
    """Bytes of a tensor that follows the JSON."""

    binary_data_size: int


class InferInput(TypedDict):
    """``data`` is flat or nested by ``shape``, and missing where the tensor is binary."""

    name: str
    datatype: Literal["BYTES"]
    shape: list[int]
    data: NotRequired[list[str | list[str]]]
    parameters: NotRequired[BinarySize]


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


@dataclass(frozen=True, slots=True)
class InferRequest:
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
    values = _inputs(document.get("inputs"), tail)
    texts = read_texts(values, _INPUT, limits)
    return InferRequest(PredictRequest(texts, parameters, _INPUT), _outputs(document.get("outputs")), identity)


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
        "inputs": [{"name": _INPUT, "datatype": "BYTES", "shape": [-1]}],
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


def _inputs(inputs: Any, tail: bytes) -> list[Any]:
    if not isinstance(inputs, list) or not inputs:
        raise InvalidRequest(
            f"inputs must be a list of at least one tensor, not {named(inputs)}.",
            field="inputs",
            remedy='Send {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["…"]}]}.',
        )
    values: list[Any] = []
    for index, tensor in enumerate(inputs):
        found, tail = _tensor(tensor, f"inputs[{index}]", tail)
        values += found
    if tail:
        raise MalformedRequest(f"{len(tail):,} bytes follow the last tensor.", remedy="Check binary_data_size.")
    return values


def _tensor(tensor: Any, field: str, tail: bytes) -> tuple[list[Any], bytes]:
    if not isinstance(tensor, dict):
        raise InvalidRequest(f"{field} must be an object, not {named(tensor)}.", field=field)
    only(tensor, tuple(InferInput.__annotations__), f"{field}.")
    name, kind = tensor.get("name"), tensor.get("datatype")
    if not (isinstance(name, str) and name.startswith(_INPUT)):
        raise InvalidRequest(f"{field}.name must be {_INPUT!r}: the model has no other input.", field=f"{field}.name")
    if kind != "BYTES":
        raise InvalidRequest(f"{field}.datatype must be BYTES.", field=f"{field}.datatype")
    count = _count(tensor.get("shape"), f"{field}.shape")
    size = _binary_size(tensor.get("parameters", {}), f"{field}.parameters")
    if size is None:
        values = _flat(tensor.get("data"), f"{field}.data")
    else:
        if size > len(tail):
            raise MalformedRequest(
                f"{field} has {size:,} bytes of binary data; {len(tail):,} are left.", field=f"{field}.parameters"
            )
        values, tail = _strings(tail[:size], field), tail[size:]
    if len(values) != count:
        raise InvalidRequest(f"{field}.shape says {count:,} texts; {len(values):,} were sent.", field=f"{field}.shape")
    return values, tail


def _count(shape: Any, field: str) -> int:
    """Texts in [texts] or [texts, 1]."""
    whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise InvalidRequest(f"{field} must be [texts] or [texts, 1].", field=field)
    return int(shape[0])


def _binary_size(parameters: Any, field: str) -> int | None:
    if not isinstance(parameters, dict):
        raise InvalidRequest(f"{field} must be an object, not {named(parameters)}.", field=field)
    only(parameters, tuple(BinarySize.__annotations__), f"{field}.")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise InvalidRequest(f"{field}.binary_data_size must be a whole number.", field=f"{field}.binary_data_size")
    return size


def _flat(data: Any, field: str) -> list[Any]:
    """V2 lets a tensor's data be nested by its shape or flat."""
    if not isinstance(data, list):
        raise InvalidRequest(f"{field} must be a list of texts, not {named(data)}.", field=field)
    return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in data]


def _strings(raw: bytes, field: str) -> list[str]:
    """Texts in the binary form of BYTES: each after its length in 4 bytes, little-endian."""
    found, place = [], 0
    while place < len(raw):
        if place + 4 > len(raw):
            raise MalformedRequest(f"The binary data of {field} end inside a length.", field=field)
        (length,) = struct.unpack_from("<I", raw, place)
        text = raw[place + 4 : place + 4 + length]
        if len(text) < length:
            raise MalformedRequest(f"The binary data of {field} end inside a text.", field=field)
        try:
            found.append(text.decode())
        except UnicodeDecodeError as error:
            raise MalformedRequest(f"A text of {field} is not UTF-8.", field=field) from error
        place += 4 + length
    return found


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
