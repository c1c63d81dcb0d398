"""A few good inputs of each target, from which mutation starts."""

import gzip
import io
import json
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.fuzz.files import NAMES

_CSV = b'text,label\n"a ""lovely"" film",x\na dull film,y\n"two\nlines",z\n'
_LINES = b'{"text": "a lovely film", "id": 3}\n"a bare text"\n{"text": "\\ud83d\\ude00"}\n'
_LIVE = {
    "version": "20261126T101112Z-0123456789ab",
    "action": "canary",
    "by": "me",
    "at": "2026-11-26T10:11:12.000001Z",
    "why": "because",
    "canary": {"version": "20261126T101113Z-0123456789ac", "weight": 0.1},
    "shadow": {"version": "20261126T101114Z-0123456789ad", "share": 1},
}
_PREDICTION = {"label": "a", "score": 0.9, "scores": {"a": 0.9, "b": 0.1}, "tokens": 4, "truncated": False}
_ANSWER = {"predictions": [_PREDICTION], "model_version": "v", "backend": "gpu-fp16"}
_V2 = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["one", "two"]}], "id": "7"}
_BINARY = {
    **_V2,
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 7}}],
}


def seeds(target: str) -> list[bytes]:
    """At least one for every target."""
    if target == "message_grpc":
        return [_message()]
    return [each if isinstance(each, bytes) else json.dumps(each).encode() for each in _SEEDS[target]]


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a lovely film", "", None, "ü"], "id": [1, 2, 3, 4]}), file)
    return file.getvalue()


def _message() -> bytes:
    from functions.endpoint import inference_pb2 as pb  # not where tritonclient's messages are: see targets

    request = pb.ModelInferRequest(model_name="demo", id="1")
    request.parameters["truncate"].string_param = "left"
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(b"a lovely film")
    return bytes(request.SerializeToString())


def _binary() -> bytes:
    head = json.dumps(_BINARY).encode()
    return str(len(head)).encode() + b"\n" + head + struct.pack("<I", 3) + b"one"


def _named(name: str, content: bytes) -> bytes:
    return bytes([NAMES.index(name)]) + content


_SEEDS: dict[str, list[object]] = {
    "body_v1": [
        {"instances": ["a text", {"text": "another"}], "parameters": {"top_k": 2, "truncate": "windows"}},
        {"instances": ["x"], "signature_name": "s", "parameters": {"abstain_below": 0.5, "raw_scores": True}},
        b'{"instances": [NaN, -Infinity, 1e999, "\\ud800"], "instances": ["twice"]}',
    ],
    "body_v2": [_V2, {**_V2, "outputs": [{"name": "label"}], "parameters": {"binary_data_output": True}}],
    "body_v2_binary": [_binary()],
    "body_tei": [
        {"inputs": "a text", "truncate": True, "truncation_direction": "Left"},
        {"inputs": ["a", ["b"]], "parameters": {"function_to_apply": "none"}},
    ],
    "message_grpc": [],  # made when it is asked for
    "event_gateway": [b"application/json; charset=utf-8\n{}", b"text/plain\neHl6"],
    "file_batch": [
        _named("rows.csv", _CSV),
        _named("rows.tsv", _CSV.replace(b",", b"\t")),
        _named("rows.jsonl", _LINES),
        _named("rows.txt", b"one\n\nthree\r\n"),
        _named("rows", _CSV.decode().encode("utf-16")),
        _named("rows.csv.gz", gzip.compress(_CSV)),
        _named("rows.jsonl.zst", zstandard.compress(_LINES)),
        _named("rows.parquet", _parquet()),
    ],
    "sidecar": [{"text_column": "review", "top_k": 3, "truncate": "windows", "abstain_below": 0.7}],
    "key_s3": [b"inbox/demo/a/b.csv", b"inbox/demo/../x/%2e%2e/y.csv", "inbox/demo/映画.csv.slipway.json".encode()],
    "manifest": [
        {"schema_version": 1, "model": "demo", "task": "single", "labels": ["a", "b"], "files": {}, "golden": []}
    ],
    "pointer": [_LIVE, {**_LIVE, "canary": None, "shadow": "20261126T101114Z-0123456789ad"}],
    "pulse": [{"requests_per_second": 2.5, "at": 1e9}],
    "answer_gpu": [_ANSWER],
    "answer_client": [
        _ANSWER,
        {
            "explanations": [
                {**_PREDICTION, "about": "a", "words": [{"word": "w", "start": 0, "end": 1, "weight": 0.5}]}
            ]
        },
        {"model_version_status": [{"version": "v", "state": "AVAILABLE", "status": {"error_message": ""}}]},
        {"id": "i", "state": "running", "rows": 3, "rows_done": 1, "bucket": "b", "upload": {"url": "u"}},
        b"Wed, 21 Oct 2026 07:28:00 GMT",
    ],
    "ends_of_records": [_CSV, _CSV + b'"', _LINES],
}
