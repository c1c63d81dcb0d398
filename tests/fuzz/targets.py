"""The parsers, each behind a function of bytes that raises for a finding only."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from email.message import Message

from functions.predict.gateway import Request
from functions.predict.gpu import GpuFailure, read_answers
from slipway.artifact import Manifest
from slipway.batch import job as batch_job
from slipway.batch.boundaries import Boundaries, IrregularQuotes
from slipway.client import results
from slipway.client.errors import BadAnswer, to_error
from slipway.client.patience import read_retry_after
from slipway.dialects import tei, v1, v2
from slipway.errors import ArtifactError, BatchError, RequestError, SlipwayError, StoreError
from slipway.pulse import Pulse
from slipway.releases import Live
from slipway.requests import Limits, Parameters, PredictRequest
from tests.fuzz.files import read_file

Target = Callable[[bytes], None]
LIMITS = Limits(body_bytes=4_400_000, instances=1_000)
_ASKED = PredictRequest(["a text"], Parameters(), "instances")


def body_v1(data: bytes) -> None:
    """Whatever passes is texts that a tokenizer takes."""
    with suppress(RequestError):
        _require_texts(v1.parse(data, LIMITS).texts)


def body_v2(data: bytes) -> None:
    with suppress(RequestError):
        _require_texts(v2.parse(data, LIMITS).request.texts)


def body_v2_binary(data: bytes) -> None:
    """The first line is the header that says where JSON ends."""
    header, _, body = data.partition(b"\n")
    with suppress(RequestError):
        _require_texts(v2.parse(body, LIMITS, header.decode("latin-1")).request.texts)


def body_tei(data: bytes) -> None:
    with suppress(RequestError):
        _require_texts(tei.parse(data, LIMITS).request.texts)


def message_grpc(data: bytes) -> None:
    """In a process without other messages of the protocol's name: those of tritonclient have it too."""
    from google.protobuf.message import DecodeError

    from functions.endpoint import inference_pb2 as pb
    from functions.endpoint.grpc_tensors import to_body

    with suppress(RequestError, DecodeError):
        body, header = to_body(pb.ModelInferRequest.FromString(data))
        _require_texts(v2.parse(body, LIMITS, header).request.texts)


def event_gateway(data: bytes) -> None:
    """Headers and body as a caller chooses them; the event around them is API Gateway's."""
    head, _, body = data.partition(b"\n")
    event = {
        "httpMethod": "POST",
        "path": "/",
        "headers": {head.decode("latin-1"): "x", "Content-Type": head.decode() if head.isascii() else None},
        "body": body.decode("latin-1"),
        "isBase64Encoded": len(head) % 2 == 1,
    }
    with suppress(RequestError):
        Request(event).json_body()


def file_batch(data: bytes) -> None:
    read_file(data)


def sidecar(data: bytes) -> None:
    with suppress(BatchError):
        batch_job.Request.from_json(data, source="a.csv.slipway.json")


def key_s3(data: bytes) -> None:
    """A key of an upload: what is written for it stays below its model's folders."""
    key = data.decode("utf-8", "replace")
    if model := batch_job.model_of(key):
        job = batch_job.Job(model=model, model_version="v", bucket="b", key=key, size=1, etag="e")
        if not (job.pointer.startswith(f"jobs/{model}/latest/") and job.outbox.startswith(f"outbox/{model}/")):
            raise AssertionError("a job's objects are outside of its model's folders")
        batch_job.Job.from_dict(json.loads(json.dumps(asdict(job))))


def manifest(data: bytes) -> None:
    with suppress(ArtifactError):
        Manifest.from_json(data, source="manifest.json")


def pointer(data: bytes) -> None:
    """What is read can be written and read again."""
    with suppress(StoreError):
        live = Live.from_json(data, source="live.json")
        live.ledger_name()
        live.candidates()


def pulse(data: bytes) -> None:
    Pulse.from_json(data)


def answer_gpu(data: bytes) -> None:
    """What passes for an answer has finite numbers: it is given to the caller."""
    with suppress(GpuFailure):
        for answer in read_answers(data, _ASKED).answers:
            if not all(math.isfinite(score) for _, score in [("", answer.score), *answer.scores]):
                raise AssertionError("a score that JSON does not have")
            json.dumps([answer.label, answer.scores], allow_nan=False).encode()


def answer_client(data: bytes) -> None:
    for read in (results.read_explanation, results.read_upload, results.read_batch, results.read_versions):
        with suppress(BadAnswer):
            read(data)
    with suppress(BadAnswer):
        results.read_predictions(data, 1)
    to_error(503, data, 0.0)
    headers = Message()
    headers["Retry-After"] = data.decode("latin-1").replace("\r", "").replace("\n", "")
    read_retry_after(headers)


def ends_of_records(data: bytes) -> None:
    """Where records end does not depend on how the bytes are cut into chunks."""
    delimiter, body = ("", ",")[len(data) % 2], data.replace(b"\r", b"\n")
    with suppress(IrregularQuotes):
        whole = [*Boundaries(delimiter).ends(body, last=True).offsets]
        half, cut = Boundaries(delimiter), len(body) // 2
        found = [*half.ends(body[:cut]).offsets, *(half.ends(body[cut:], last=True).offsets + cut)]
        if whole != found:
            raise AssertionError(f"records end at {whole} or at {found}")


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        body_v1,
        body_v2,
        body_v2_binary,
        body_tei,
        message_grpc,
        event_gateway,
        file_batch,
        sidecar,
        key_s3,
        manifest,
        pointer,
        pulse,
        answer_gpu,
        answer_client,
        ends_of_records,
    )
}


def _require_texts(texts: list[str]) -> None:
    if not texts or any(not isinstance(text, str) or not text.strip() for text in texts):
        raise AssertionError("a parser let something pass that is no text")
    for text in texts:
        text.encode()


__all__ = ["LIMITS", "TARGETS", "SlipwayError", "Target"]
