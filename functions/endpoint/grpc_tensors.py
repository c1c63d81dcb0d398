"""Messages of V2 over gRPC into V2's binary HTTP and back: so one codec reads both, and says the same of what is wrong.

Raw tensors of BYTES have the same form in both: each text after its length in 4 bytes.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from functions.endpoint import inference_pb2 as pb
from functions.endpoint.invocations import to_json
from slipway.dialects.v2 import InferAnswer
from slipway.errors import InvalidRequest

# The member of InferTensorContents, and how a value is written raw: little-endian, as every CPU here is.
_CONTENTS = {
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "INT32": "int_contents",
    "BOOL": "bool_contents",
}
_RAW = {"FP32": "<f4", "INT32": "<i4", "BOOL": "?"}


def to_body(request: pb.ModelInferRequest) -> tuple[bytes, str]:
    """The body of the same request over HTTP, and where its JSON ends. Raises InvalidRequest."""
    tails = _tails(request)
    inputs = [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": [*tensor.shape],
            "parameters": {**_values(tensor.parameters), "binary_data_size": len(tail)},
        }
        for tensor, tail in zip(request.inputs, tails, strict=True)
    ]
    document: dict[str, Any] = {"inputs": inputs, "parameters": _values(request.parameters)}
    if request.id:
        document["id"] = request.id
    if request.outputs:
        document["outputs"] = [{"name": output.name} for output in request.outputs]
    head = to_json(document).encode()
    return head + b"".join(tails), str(len(head))


def to_message(answer: InferAnswer, *, raw: bool) -> pb.ModelInferResponse:
    """The answer as a message: its tensors ``raw``, as those of a raw request are, or by their types."""
    message = pb.ModelInferResponse(
        model_name=answer["model_name"], model_version=answer["model_version"], id=answer.get("id", "")
    )
    for name, value in answer["parameters"].items():
        message.parameters[name].string_param = value
    for tensor in answer["outputs"]:
        kind, data = tensor["datatype"], tensor["data"]
        values = [str(item).encode() for item in data] if kind == "BYTES" else data
        output = message.outputs.add(name=tensor["name"], datatype=kind, shape=tensor["shape"])
        if raw:
            message.raw_output_contents.append(_strings(values) if kind == "BYTES" else _numbers(values, _RAW[kind]))
        else:
            getattr(output.contents, _CONTENTS[kind]).extend(values)
    return message


def _tails(request: pb.ModelInferRequest) -> list[bytes]:
    raw = [*request.raw_input_contents]
    if not raw:
        return [_strings(tensor.contents.bytes_contents) for tensor in request.inputs]
    if len(raw) != len(request.inputs) or any(tensor.HasField("contents") for tensor in request.inputs):
        raise InvalidRequest(
            f"raw_input_contents has {len(raw)} tensors of {len(request.inputs)} inputs, or an input has contents too.",
            field="raw_input_contents",
            remedy="Send all tensors raw, or none.",
        )
    return raw


def _strings(texts: Sequence[Any]) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _numbers(values: Sequence[Any], kind: str) -> bytes:
    return np.array(values, kind).tobytes()


def _values(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in parameters.items()}


def _value(name: str, parameter: pb.InferParameter) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise InvalidRequest(f"The parameter {name[:64]!r} has no value.", field="parameters")
    return getattr(parameter, choice)
