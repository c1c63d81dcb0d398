"""What JSON Schema cannot say of a request: a tensor's shape counts its data."""

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
def before_call(context: Any, case: schemathesis.Case, kwargs: Any) -> None:
    """Make a tensor that is whole agree with itself; one that is to be refused for its shape stays as it is."""
    inputs = case.body.get("inputs") if isinstance(case.body, dict) else None
    for tensor in inputs if isinstance(inputs, list) else []:
        if _is_whole(tensor):
            tensor["shape"] = [len(tensor["data"])]


def _is_whole(tensor: Any) -> bool:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("data"), list):
        return False
    shape = tensor.get("shape")
    whole = isinstance(shape, list) and all(type(size) in (int, float) and size > 0 for size in shape)
    return whole and 0 < len(shape) < 3
