"""What is broken: S3 (moto) behind a proxy, with a model of two versions and the functions that the workflow has."""

import importlib
import json
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
from moto.server import ThreadedMotoServer

from slipway import objects, quick_objects
from slipway.store import Store
from tests.faults.proxy import Proxy
from tests.image.runtime_api import rest_event
from tests.model_build.keyword_artifacts import write_artifact

MODEL, MODELS, DATA = "keywords", "fault-models", "fault-data"
REGION = "eu-central-1"
WORDS = {"good": [0.0, 4.0], "bad": [4.0, 0.0], **{f"filler{i}": [0.0, 0.0] for i in range(3_000)}}
LABELS = ["negative", "positive"]
_TENTH = 0.1  # of the time that S3 has in production: a row takes seconds, and what it shows is the same


@dataclass(frozen=True)
class Seen:
    """What one call gave: ``status`` 0 is no answer at all."""

    status: int
    seconds: float
    document: Any

    @property
    def lost(self) -> bool:
        """Neither an answer that is right nor a refusal that says what to do, within API Gateway's 29 s."""
        if self.seconds > 29:
            return True
        if self.status == 200:
            found = [each["label"] for each in self.document["predictions"]]
            return found != ["positive", "negative"]
        return not (self.status in (429, 503) and self.document.get("remedy"))

    @property
    def version(self) -> str:
        return str(self.document.get("model_version", "")) if self.status == 200 else ""


class Context:
    """What Lambda passes beside the event."""

    function_name = "predict"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:predict"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass
class Stage:
    """``first`` is live at the start of each row, ``second`` is published beside it."""

    folder: Path
    proxy: Proxy
    gpu: Proxy
    direct: Any  # S3 without the proxy
    artifacts: list[Path]
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def first(self) -> str:
        return self.artifacts[0].name

    @property
    def second(self) -> str:
        return self.artifacts[1].name

    def store(self) -> Store:
        """Not through the proxy."""
        return Store(MODELS, MODEL, self.direct)

    def begin(self) -> None:
        """As it was: both versions published, the first one live, nothing in the data bucket."""
        self.told.clear()
        self.executions.clear()
        _empty(self.direct, DATA)
        for mutable in ("live.json", "ledger/"):  # versions never change
            _empty(self.direct, MODELS, f"models/{MODEL}/{mutable}")
        store = self.store()
        for artifact in self.artifacts:
            if artifact.name not in store.versions():
                store.publish(artifact)
        store.promote(self.first, by="stage", why="first")

    @contextmanager
    def cold(self, **settings: str) -> Iterator[Callable[..., Seen]]:
        """The predict function as a new execution environment imports it; a call asks it for two texts."""
        given = {"AWS_LAMBDA_FUNCTION_NAME": "predict", "SLIPWAY_MODEL": MODEL, "SLIPWAY_MODEL_BUCKET": MODELS}
        given |= {
            "SLIPWAY_POLL_SECONDS": "0.05",
            "SLIPWAY_STALE_SECONDS": "0.1",
            "TMPDIR": str(self.folder),
            **settings,
        }
        with mock.patch.dict(os.environ, given):
            module = _fresh("functions.predict.handler")
            try:
                yield lambda request="": _ask(module.handler, request)
            finally:
                _settle()
                shutil.rmtree(module.scratch.folder, ignore_errors=True)

    @contextmanager
    def workflow(self) -> Iterator[Callable[[str], Callable[[Any], Any]]]:
        """A function of the batch workflow by its name, imported anew."""
        given = {"SLIPWAY_MODEL": MODEL, "SLIPWAY_MODEL_BUCKET": MODELS, "SLIPWAY_DATA_BUCKET": DATA}
        given |= {"SLIPWAY_STATE_MACHINE": "arn:aws:states:eu-central-1:123456789012:stateMachine:batch"}
        with (
            mock.patch.dict(os.environ, given),
            mock.patch("slipway.workflows.start_execution", self._start),
            mock.patch("slipway.workflows.announce", lambda _, kind, detail: self.told.append((kind, detail))),
        ):
            _forget("functions.batch")
            yield (
                lambda verb: lambda event: importlib.import_module(f"functions.batch.{verb}").handler(event, Context())
            )
            _forget("functions.batch")

    def upload(self, key: str, body: bytes) -> dict[str, Any]:
        """Put a file, and give the event that S3 sends of it."""
        etag = self.direct.put_object(Bucket=DATA, Key=key, Body=body)["ETag"].strip('"')
        return {"detail": {"bucket": {"name": DATA}, "object": {"key": key, "size": len(body), "etag": etag}}}

    def _start(self, _: str, name: str, document: dict[str, Any]) -> bool:
        """As Step Functions: a name that it knows is refused."""
        known = name in self.executions
        self.executions.setdefault(name, json.loads(json.dumps(document)))
        return not known


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Everything, for all rows; timeouts of S3's clients are a tenth of production's."""
    dummies = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    dummies |= {"AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere"}
    dummies |= {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    dummies |= {"POWERTOOLS_METRICS_DISABLED": "true"}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    upstream = f"{host}:{port}"
    with mock.patch.dict(os.environ, dummies), _hurried(), Proxy(upstream) as proxy, Proxy(upstream) as gpu:
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{upstream}"
        direct = boto3.client("s3")
        for bucket in (MODELS, DATA):
            direct.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        os.environ |= {"AWS_ENDPOINT_URL_S3": proxy.url, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": gpu.url}
        made = [_artifact(folder / name, name) for name in ("1", "2")]
        try:
            yield Stage(folder, proxy, gpu, direct, made)
        finally:
            server.stop()


def _artifact(folder: Path, fingerprint: str) -> Path:
    return write_artifact(folder, WORDS, LABELS, fingerprint=fingerprint * 64)


@contextmanager
def _hurried() -> Iterator[None]:
    """Every client of S3 gives up after a tenth of its seconds."""
    quick = {"connect_timeout": "200ms", "timeout": "1s"}
    retries = {
        "max_retries": 2,
        "retry_timeout": timedelta(seconds=1.2),
        "backoff": {"base": 2, "init_backoff": timedelta(milliseconds=10), "max_backoff": timedelta(milliseconds=300)},
    }
    with (
        mock.patch.object(objects, "_READ_SECONDS", 10 * _TENTH),
        mock.patch.object(objects, "_CONFLICT_PAUSES", (0.01, 0.04, 0.16)),
        mock.patch.object(quick_objects, "_CLIENT", quick),
        mock.patch.object(quick_objects, "_RETRIES", retries),
        mock.patch("functions.predict.live._LONGEST_WAIT", 20 * _TENTH),
        mock.patch("functions.predict.live.START_WAIT", 8 * _TENTH),
        mock.patch("functions.predict.live._POINTER_WAIT", 3 * _TENTH),
    ):
        yield


def _ask(handler: Callable[[Any, Any], Any], request: str) -> Seen:
    event = rest_event("POST", f"/v1/models/{MODEL}:predict", {"instances": ["a good film", "a bad film"]})
    event["requestContext"]["requestId"] = request or str(uuid.uuid4())
    began = time.perf_counter()
    answer = handler(event, Context())
    return Seen(answer["statusCode"], time.perf_counter() - began, json.loads(answer["body"]))


def _fresh(name: str) -> ModuleType:
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def _forget(prefix: str) -> None:
    for name in [name for name in sys.modules if name.startswith(prefix)]:
        del sys.modules[name]


def _settle() -> None:
    for thread in threading.enumerate():
        if thread.name in ("refresh", "shadow"):
            thread.join(0.01 if thread.name == "shadow" else 10)


def _empty(client: Any, bucket: str, prefix: str = "") -> None:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=item["Key"])
