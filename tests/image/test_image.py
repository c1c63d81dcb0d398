"""The image answers as Lambda would have it answer, and holds what it should and no more."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from slipway.artifact import read_manifest
from slipway.settings import Settings
from slipway.store import Store

from .container import LAMBDA_ENVIRONMENT, Container
from .runtime_api import FunctionFailed, rest_event
from .test_sbom import assert_cyclonedx

pytestmark = pytest.mark.slow

REQUIREMENTS = Path(__file__).parents[2] / "functions/predict/requirements.txt"
MAX_DEPENDENCIES_MB = 160  # issue 2: what is downloaded and mapped before the first answer
BUCKET = "models"


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket on loopback."""

    url: str
    client: Any


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket in an S3 server that another process can reach."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client("s3", endpoint_url=url, region_name=LAMBDA_ENVIRONMENT["AWS_REGION"], **keys)
    client.create_bucket(Bucket=BUCKET)
    yield Bucket(url, client)
    server.stop()


def environment(bucket: Bucket, model: str = "demo") -> dict[str, str]:
    """What the CDK app sets, and where S3 is."""
    powertools = {"POWERTOOLS_SERVICE_NAME": model}
    return {**Settings(model=model, model_bucket=BUCKET).to_env(), **powertools, "AWS_ENDPOINT_URL": bucket.url}


def test_declared_command_is_the_predict_handler(container: Container) -> None:
    assert container.config["Cmd"] == ["functions.predict.handler.handler"]


def test_answers_without_a_model(container: Container, bucket: Bucket, tmp_path: Path) -> None:
    with container.boot(tmp_path / "log", environment(bucket)) as api:
        live = api.invoke(rest_event("GET", "/v2/health/live"))
        refused = api.invoke(rest_event("POST", "/v1/models/demo:predict", {"instances": ["A fine film."]}))
    assert live["statusCode"] == 200
    assert refused["statusCode"] == 503
    assert header(refused, "Content-Type") == "application/problem+json"
    assert json.loads(refused["body"])["status"] == 503


def test_predicts_with_the_live_model(
    container: Container, bucket: Bucket, tiny_artifact: Path, tmp_path: Path
) -> None:
    manifest = read_manifest(tiny_artifact)
    store = Store(BUCKET, manifest.model, bucket.client)
    version = store.publish(tiny_artifact)
    store.promote(version, by="tests", why="the image's test")
    with container.boot(tmp_path / "log", environment(bucket, manifest.model)) as api:
        path = f"/v1/models/{manifest.model}:predict"
        answer = api.invoke(rest_event("POST", path, {"instances": ["A fine film.", "A dull one."]}))
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 200, body
    assert body["model_version"] == version
    assert [prediction["label"] in manifest.labels for prediction in body["predictions"]] == [True, True]


def test_start_that_fails_is_reported(container: Container, tmp_path: Path) -> None:
    """The stand-in speaks the whole protocol: a handler that cannot be imported is an init error, not a silence."""
    broken = ["functions.predict.no_such_module.handler"]
    with container.boot(tmp_path / "log", {}, command=broken) as api, pytest.raises(FunctionFailed, match="no_such"):
        api.invoke(rest_event("GET", "/v2/health/live"))


def test_training_stack_is_absent(container: Container) -> None:
    absent = ["torch", "transformers", "huggingface_hub", "model_build"]
    script = f"import importlib.util as u; print([n for n in {absent} if u.find_spec(n)])"
    assert container.run("python3", "-c", script) == "[]"


def test_everything_serving_uses_imports_from_the_pinned_packages(container: Container) -> None:
    """After the pruning, and in spite of the base image's own boto3."""
    script = """if True:
        import boto3, importlib, numpy, onnxruntime, pkgutil, slipway, sys, tokenizers
        from aws_lambda_powertools import Logger
        onnxruntime.InferenceSession, tokenizers.Tokenizer
        names = {module.name for module in pkgutil.walk_packages(slipway.__path__, "slipway.")}
        names.remove("slipway.batch.parquet")  # pyarrow is in the batch functions' image only
        [importlib.import_module(name) for name in names]
        [boto3.client(name, region_name="us-east-1") for name in ("s3", "sts")]
        third_party = [m.__file__ for m in sys.modules.values() if "-packages" in (getattr(m, "__file__", "") or "")]
        print(third_party, boto3.__version__)
    """
    imported_elsewhere, version = container.run("python3", "-c", script).rsplit(maxsplit=1)
    assert imported_elsewhere == "[]"
    assert f"boto3=={version} " in REQUIREMENTS.read_text()


def test_the_bill_of_materials_is_of_what_is_pinned_and_what_is_there(container: Container) -> None:
    bill = json.loads(container.run("cat", "sbom.cdx.json"))
    assert_cyclonedx(bill)
    found = {component["name"]: component for component in bill["components"]}
    text = REQUIREMENTS.read_text()
    assert {name: c["version"] for name, c in found.items()} == dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.M))
    assert all(f"--hash=sha256:{component['hashes'][0]['content']}" in text for component in found.values())
    script = "import importlib.metadata as m; print(*(found.name for found in m.distributions(path=['.'])))"
    there = container.run("python3", "-c", script).lower().replace("_", "-").split()
    assert sorted(there) == sorted(found)


def test_dependencies_are_small(container: Container) -> None:
    """Unpacked, with their bytecode; our own code is not counted."""
    size = container.run("du", "-sm", "--exclude=./slipway", "--exclude=./functions", ".")
    assert int(size.split()[0]) <= MAX_DEPENDENCIES_MB


def test_everything_is_compiled_whatever_its_mtime(container: Container) -> None:
    script = """if True:
        import importlib.util, pathlib
        def unchecked(source):
            compiled = pathlib.Path(importlib.util.cache_from_source(source))
            return compiled.exists() and compiled.read_bytes()[4:8] == bytes([1, 0, 0, 0])  # PEP 552: hash, unchecked
        sources = [str(path) for path in pathlib.Path(".").rglob("*.py")]
        print(len(sources) > 500, [source for source in sources if not unchecked(source)])
    """
    assert container.run("python3", "-c", script) == "True []"


def header(answer: dict[str, Any], name: str) -> str:
    """A header of a REST API proxy answer, single or multi-value."""
    multiple = {key.lower(): values[0] for key, values in answer.get("multiValueHeaders", {}).items()}
    single = {key.lower(): value for key, value in answer.get("headers", {}).items()}
    return str({**multiple, **single}[name.lower()])
