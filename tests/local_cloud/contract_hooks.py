"""What JSON Schema cannot say of a request: a tensor's shape counts its data, and binary ones need a header."""

import os
from typing import Any

import schemathesis


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """A model and versions that exist, or everything but one request in a million would be answered by 404."""
    known = {"model": "demo", "label": "live", "version": os.environ["CONTRACT_VERSION"]}
    if isinstance(path_parameters, dict):
        return {name: known.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Make a valid tensor agree with itself; one that is to be refused stays as it is."""
    if isinstance(body, dict) and isinstance(body.get("inputs"), list):
        for tensor in body["inputs"]:
            if _is_whole(tensor):
                tensor["shape"] = [len(tensor["data"])]
                tensor.pop("parameters", None)
    return body


def _is_whole(tensor: Any) -> bool:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("data"), list):
        return False
    shape = tensor.get("shape")
    return isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape) and 0 < len(shape) < 3
