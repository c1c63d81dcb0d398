"""The predict function over a model store in moto, driven by API Gateway events; a clock that only a test moves."""

import base64
import dataclasses
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger

from functions.predict import telemetry
from functions.predict.live import LiveModel
from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.scratch import Scratch
from functions.predict.shadowing import Shadowing
from slipway.artifact import MANIFEST, read_manifest
from slipway.settings import Settings
from slipway.store import Store

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Context:
    """What Lambda passes beside the event."""

    function_name: str = "predict"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:predict"
    aws_request_id: str = REQUEST_ID


@dataclass(frozen=True)
class Answer:
    """An API Gateway proxy response, as the caller sees it."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Sends API Gateway REST proxy events to a handler and reads its answers as the Lambda runtime does."""

    handler: Callable[[dict[str, Any], Any], dict[str, Any]]
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str | None = "application/json",
        encoded: bool = False,
    ) -> Answer:
        raw = body if isinstance(body, str | None) else json.dumps(body)
        if encoded and raw is not None:
            raw = base64.b64encode(raw.encode()).decode()
        headers = {"Accept": "*/*", **({"Content-Type": content_type} if content_type else {})}
        event = {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"proxy": path.lstrip("/")},
            "stageVariables": None,
            "requestContext": {"requestId": REQUEST_ID, "stage": "dev", "path": f"/dev{path}", "httpMethod": method},
            "body": raw,
            "isBase64Encoded": encoded,
        }
        return self.answer(event)

    def answer(self, event: dict[str, Any]) -> Answer:
        response = self.handler(event, Context())
        json.dumps(response, ensure_ascii=False).encode()  # what Lambda's runtime client does with it
        headers = {**response.get("headers", {})}
        headers |= {name: values[0] for name, values in response.get("multiValueHeaders", {}).items()}
        return Answer(response["statusCode"], {k.lower(): v for k, v in headers.items()}, response["body"])

    def predict(self, *texts: object, version: str = "", **parameters: Any) -> Answer:
        document: dict[str, Any] = {"instances": list(texts)}
        if parameters:
            document["parameters"] = parameters
        return self("POST", f"/v1/models/demo{f'/versions/{version}' if version else ''}:predict", document)


@dataclass
class Records:
    """The JSON lines that a Powertools logger wrote."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def of(self, message: str) -> list[dict[str, Any]]:
        return [record for record in self.all() if record["message"] == message]


def settle() -> None:
    """Wait until no refresh is under way."""
    for thread in threading.enumerate():
        if thread.name == "refresh":
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def settled() -> Iterator[Callable[[], None]]:
    yield settle
    settle()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(bucket: str) -> Settings:
    return Settings(model="demo", model_bucket=bucket)


@pytest.fixture
def live_logs() -> Records:
    return Records()


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path)


@pytest.fixture
def cache(scratch: Scratch) -> Path:
    """Where the versions of the default model lie."""
    return scratch.folder / "demo"


@pytest.fixture
def models(
    settings: Settings,
    store: Store,
    scratch: Scratch,
    clock: Clock,
    live_logs: Records,
    request: pytest.FixtureRequest,
    settled: Callable[[], None],
) -> LiveModel:
    """A LiveModel that has seen nothing yet."""
    logger = Logger(service=request.node.name, stream=live_logs.stream)
    return LiveModel(settings, store=store, scratch=scratch, logger=logger, clock=clock)


@pytest.fixture
def promoted(store: Store, tiny_artifact: Path) -> str:
    """The first version, published and live."""
    version = store.publish(tiny_artifact)
    store.promote(version, by="ada", why="first")
    return version


@pytest.fixture
def second(store: Store, second_artifact: Path) -> str:
    """Another version, published."""
    return store.publish(second_artifact)


@pytest.fixture
def another(store: Store, tiny_artifact: Path, tmp_path: Path) -> Callable[[int], str]:
    """Publish the first version again as if it had been built on another day."""

    def published(day: int) -> str:
        directory = Path(shutil.copytree(tiny_artifact, tmp_path / f"day{day}"))
        manifest = dataclasses.replace(read_manifest(directory), version="", created=f"2020-01-{day:02}T00:00:00Z")
        (directory / MANIFEST).write_bytes(manifest.to_json())
        return store.publish(directory)

    return published


@pytest.fixture
def damage(bucket: str) -> Callable[..., None]:
    """Flip one byte of a published file; called again, flip it back."""

    def flip(version: str, name: str = "model.int8.onnx.data") -> None:
        where = {"Bucket": bucket, "Key": f"models/demo/{version}/{name}"}
        content = bytearray(boto3.client("s3").get_object(**where)["Body"].read())
        content[len(content) // 2] ^= 1
        boto3.client("s3").put_object(**where, Body=bytes(content))

    return flip


@pytest.fixture
def deployment(
    settings: Settings,
    scratch: Scratch,
    clock: Clock,
    live_logs: Records,
    request: pytest.FixtureRequest,
    settled: Callable[[], None],
) -> Models:
    """The models of a function, of which it has seen nothing yet."""
    logger = Logger(service=request.node.name, stream=live_logs.stream)
    return Models(settings, lambda model: Store(settings.model_bucket, model), scratch, logger, clock=clock)


@pytest.fixture
def shadowing() -> Shadowing:
    return Shadowing(telemetry.record_shadow)


@pytest.fixture
def service(settings: Settings, deployment: Models, shadowing: Shadowing) -> Service:
    return Service(settings, deployment, shadowing)


@pytest.fixture
def call(service: Service) -> Caller:
    return Caller(lambda event, _: service.handle(event))


@pytest.fixture
def caller() -> Callable[..., Caller]:
    return Caller


@pytest.fixture
def logs() -> Iterator[Records]:
    """What the function itself logs."""
    records = Records()
    handler = telemetry.logger.registered_handler
    before = handler.setStream(records.stream)  # type: ignore[attr-defined]
    yield records
    handler.setStream(before)  # type: ignore[attr-defined]
