"""``slipway openapi``: the API's description, as OpenAPI 3.1, written from the types that the dialects read and render.

The function serves the file; a test holds it to this.
"""

import json
from pathlib import Path
from typing import Any

import typer

from slipway.batch import state
from slipway.dialects import tei, v1, v2, v2_tensors
from slipway.requests import JSON, ParameterValues
from slipway.settings import Settings

_REQUESTS = (
    *(v1.V1Request, v1.ExplainRequest, v1.ExplainParameters, v1.Instance, ParameterValues),
    *(tei.TeiBody, tei.HubParameters),
    state.BatchBody,
    *(v2.InferBody, v2.InferParameters, v2.WantedOutput, v2_tensors.InferInput, v2_tensors.BinarySize),
)
_ANSWERS = (v1.V1Answer, v1.V1Explained, v1.ModelStatus, v2.InferAnswer, tei.LabelScore, state.Upload, state.State)
_LIMITS = Settings(model="", model_bucket="")
_TEXT = {"minLength": 1, "pattern": r"[^\s\u001c-\u001f\u0085]"}  # a text of spaces alone is no text
_SENT = {"text": "Surprisingly moving, and never dull."}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457: what is wrong, where, and what to do about it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "error", "remedy", "field", "instance")},
        "status": {"type": "integer"},
    },
}
_REFUSALS = {
    "400": "Not readable as what it claims to be.",
    "403": "The API key is missing or unknown.",
    "404": "No such model or version.",
    "405": "The path has other methods.",
    "413": "Over a limit of bytes, texts or tokens.",
    "415": "Not JSON.",
    "422": "A field's value cannot be used; `field` names it.",
    "429": "Too many requests for this API key; `Retry-After` says when to come back.",
    "500": "A fault of the service's own.",
    "503": "No model can answer now; `Retry-After` says when to come back.",
}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(openapi)


def openapi(out: Path = Path("functions/predict/pages/openapi.json")) -> None:
    """Write the API's OpenAPI document, from the types of its messages."""
    out.write_text(json.dumps(describe(), indent=1, ensure_ascii=False) + "\n")
    typer.echo(f"wrote {out}")


def describe() -> dict[str, Any]:
    """The document. Its server is the place that it is read from, whatever stage that is."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Slipway",
            "version": "1",
            "summary": "Text classification in the dialects of TF-Serving, the Open Inference Protocol and TEI.",
        },
        "servers": [{"url": "."}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
    }


def _paths() -> dict[str, Any]:
    texts = {"instances": [_SENT["text"], _SENT]}
    one_of_v1 = [(path, names) for path, names in _named_paths("/v1/models/{model}", ("versions", "labels"))]
    one_of_v2 = [(path, names) for path, names in _named_paths("/v2/models/{model}", ("versions",))]
    paths: dict[str, Any] = {}
    for path, names in one_of_v1:
        predict = _post("TF-Serving V1", "Classify texts", "V1Request", "V1Answer", texts, names)
        explain = _post("TF-Serving V1", "Which words mattered", "ExplainRequest", "V1Explained", texts, names)
        paths[f"{path}:predict"] = {"post": predict}
        paths[f"{path}:explain"] = {"post": explain}
        paths[path] = {"get": _get("TF-Serving V1", "Versions in memory", _ref("ModelStatus"), names)}
        paths[f"{path}/metadata"] = {"get": _get("TF-Serving V1", "Signature of the model", _ANY, names)}
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [_SENT["text"]]}
    for path, names in one_of_v2:
        infer = _post(_OIP, "Classify texts", "InferBody", "InferAnswer", {"inputs": [tensor]}, names)
        paths[f"{path}/infer"] = {"post": infer}
        paths[f"{path}/ready"] = {"get": _get(_OIP, "Whether the model answers", _ANY, names)}
        paths[path] = {"get": _get(_OIP, "Inputs and outputs", _ANY, names)}
    for path, summary in (("/v2", "This server"), ("/v2/health/live", "Alive"), ("/v2/health/ready", "Ready")):
        paths[path] = {"get": _get(_OIP, summary, _ANY)}
    lists = {"oneOf": [{"type": "array", "items": _ref("LabelScore")}, _array(_array(_ref("LabelScore")))]}
    for path in ("/predict", "/"):
        paths[path] = {"post": _post(_HUB, "Classify texts", "TeiBody", lists, {"inputs": _SENT["text"]}, ())}
    for path, summary in (("/info", "What is served, and its limits"), ("/health", "Ready")):
        paths[path] = {"get": _get(_HUB, summary, _ANY)}
    batch = _post("Batch", "Where to upload a file", "BatchBody", "Upload", {"name": "reviews.csv"}, ())
    batch["responses"]["201"] = batch["responses"].pop("200")
    paths["/v1/batches"] = {"post": batch}
    paths["/v1/batches/{identifier}"] = {"get": _get("Batch", "How far a job is", _ref("State"), ("identifier",))}
    paths["/"]["get"] = _page("A page to try the model on")
    paths["/docs"] = {"get": _page("This description, to read")}
    paths["/openapi.json"] = {"get": _page("This description", JSON)}
    return paths


_OIP, _HUB = "Open Inference Protocol V2", "Hugging Face TEI"
_ANY: dict[str, Any] = {"type": "object"}


def _named_paths(path: str, kinds: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """A model's paths: of what is live, of a version, of a label; each with its parameters."""
    return [(path, ("model",)), *((f"{path}/{kind}/{{{kind[:-1]}}}", ("model", kind[:-1])) for kind in kinds)]


def _post(
    tag: str, summary: str, body: str, answer: str | dict[str, Any], example: Any, names: tuple[str, ...]
) -> dict[str, Any]:
    content = {JSON: {"schema": _ref(body), "examples": {"texts": {"value": example}}}}
    found = _ref(answer) if isinstance(answer, str) else answer
    asked = {"requestBody": {"required": True, "content": content}}
    return _operation(tag, summary, names, {JSON: {"schema": found}}) | asked


def _get(tag: str, summary: str, answer: dict[str, Any], names: tuple[str, ...] = ()) -> dict[str, Any]:
    return _operation(tag, summary, names, {JSON: {"schema": answer}})


def _page(summary: str, kind: str = "text/html; charset=utf-8") -> dict[str, Any]:
    return _operation("Pages", summary, (), {kind: {}}) | {"security": []}


def _operation(tag: str, summary: str, names: tuple[str, ...], content: dict[str, Any]) -> dict[str, Any]:
    refused = {"application/problem+json": {"schema": _ref("Problem")}}
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {
        "tags": [tag],
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **{status: {"description": why, "content": refused} for status, why in _REFUSALS.items()},
        },
    }


def _schemas() -> dict[str, Any]:
    import msgspec

    _, schemas = msgspec.json.schema_components([*_REQUESTS, *_ANSWERS], ref_template="#/components/schemas/{name}")
    for kind in _REQUESTS:
        schemas[kind.__name__]["additionalProperties"] = False  # a misspelled field is refused
    # Described is JSON; a tensor in binary, whose size is a parameter, is no JSON and has its data elsewhere.
    schemas["InferInput"]["required"].append("data")
    schemas["InferInput"]["properties"]["parameters"] = {"type": "object", "maxProperties": 0}
    del schemas["BinarySize"]
    for name, member, limits in _BOUNDS:
        _narrow(schemas[name]["properties"][member], limits)
    return schemas | {"Problem": _PROBLEM}


_MANY = {"minItems": 1, "maxItems": _LIMITS.max_instances}
_BOUNDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("V1Request", "instances", _MANY),
    ("ExplainRequest", "instances", _MANY),
    ("Instance", "text", {}),
    ("BatchBody", "name", {"pattern": state.NAME, "minLength": 1, "maxLength": 200}),
    ("TeiBody", "inputs", _MANY),
    ("InferBody", "inputs", {"minItems": 1}),
    ("InferInput", "data", {"minItems": 1}),
    ("InferInput", "name", {"pattern": "^text"}),
    ("InferInput", "shape", {"minItems": 1, "maxItems": 2, "items": {"type": "integer", "minimum": 1}}),
    *((name, "top_k", {"minimum": 1}) for name in ("ParameterValues", "ExplainParameters", "HubParameters")),
    *(
        (name, "abstain_below", {"minimum": 0, "maximum": 1})
        for name in ("ParameterValues", "ExplainParameters", "HubParameters", "InferParameters")
    ),
)


def _narrow(schema: dict[str, Any], limits: dict[str, Any]) -> None:
    """Bounds for a member, and for every text inside that it is one."""
    options = schema.get("anyOf", [schema])
    for option in options:
        if option.get("type") == "array":
            option.update(limits)
            _narrow(option["items"], {"minItems": 1, "maxItems": 1})
        elif option.get("type") == "string":
            option.update(limits if "pattern" in limits else _TEXT)
        elif "$ref" not in option:
            option.update(limits)


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
