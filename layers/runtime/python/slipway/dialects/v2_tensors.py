"""The tensors of an Open Inference Protocol request: texts in JSON, nested or flat, and in the binary form of BYTES."""

import struct
from typing import Any, Literal, NotRequired, TypedDict

from slipway.errors import InvalidRequest, MalformedRequest
from slipway.requests import named, only

INPUT = "text"


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


def read_inputs(inputs: Any, tail: bytes) -> list[Any]:
    """The items of all tensors, in order; ``tail`` has those that are binary. Raises a RequestError."""
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
    if not (isinstance(name, str) and name.startswith(INPUT)):
        raise InvalidRequest(f"{field}.name must be {INPUT!r}: the model has no other input.", field=f"{field}.name")
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
