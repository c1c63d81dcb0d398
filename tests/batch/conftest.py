"""The batch functions over moto's in-process AWS, with a model published and promoted."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from slipway.store import Store
from tests.conftest import BUCKET

DATA = "slipway-data"


class Context:
    """What Lambda passes beside the event."""

    function_name = "batch"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:batch"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass
class Told:
    """What the functions told others."""

    executions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def version(store: Store, tiny_artifact: Path) -> str:
    published = store.publish(tiny_artifact)
    store.promote(published, by="test", why="first")
    return published


@pytest.fixture
def s3(bucket: str) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket=DATA, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return client


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Executions by name: one of a name that exists is refused, as Step Functions does."""
    told = Told()

    def start(_: str, name: str, document: dict[str, Any]) -> bool:
        known = name in dict(told.executions)
        if not known:
            told.executions.append((name, json.loads(json.dumps(document))))
        return not known

    monkeypatch.setattr("slipway.workflows.start_execution", start)
    monkeypatch.setattr("slipway.workflows.announce", lambda _, kind, detail: told.events.append((kind, detail)))
    return told


@pytest.fixture
def function(s3: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Callable[[Any], Any]]]:
    """A function of the workflow by its name, imported as a new execution environment does."""
    monkeypatch.setenv("SLIPWAY_MODEL", "demo")
    monkeypatch.setenv("SLIPWAY_MODEL_BUCKET", BUCKET)
    monkeypatch.setenv("SLIPWAY_DATA_BUCKET", DATA)
    monkeypatch.setenv("SLIPWAY_STATE_MACHINE", "arn:aws:states:eu-central-1:123456789012:stateMachine:batch")

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("functions.batch")]:
            del sys.modules[name]

    def load(verb: str) -> Callable[[Any], Any]:
        module: ModuleType = importlib.import_module(f"functions.batch.{verb}")
        return lambda event: module.handler(event, Context())

    forget()
    yield load
    forget()


def uploaded(s3: Any, key: str, body: bytes) -> dict[str, Any]:
    """Put the object and give the event that S3 sends of it through EventBridge."""
    etag = s3.put_object(Bucket=DATA, Key=key, Body=body)["ETag"].strip('"')
    return {"detail": {"bucket": {"name": DATA}, "object": {"key": key, "size": len(body), "etag": etag}}}
