"""The image of the batch functions: built by its Dockerfile, and each step of a job booted in it as Lambda boots it."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from slipway.artifact import read_manifest
from slipway.batch.job import Job
from slipway.settings.batch import BatchSettings
from slipway.store import Store

from .container import LAMBDA_ENVIRONMENT, Container
from .stand_in import Buildah, base_image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODELS, FILES = "models", "files"


@pytest.fixture(scope="module")
def container(buildah: Buildah) -> Iterator[Container]:
    base = base_image(buildah, ROOT / "pyproject.toml")
    arguments = ("--file", str(ROOT / "functions/batch/Dockerfile"), "--build-arg", f"BASE={base}")
    buildah.build("localhost/slipway-batch", *arguments, context=ROOT)
    running = Container(buildah, "localhost/slipway-batch")
    yield running
    running.close()


@pytest.fixture
def aws() -> Iterator[tuple[str, Any]]:
    """S3 and EventBridge on loopback, with both buckets."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client("s3", endpoint_url=url, region_name=LAMBDA_ENVIRONMENT["AWS_REGION"], **keys)
    for bucket in (MODELS, FILES):
        client.create_bucket(Bucket=bucket)
    yield url, client
    server.stop()


def test_a_parquet_file_goes_through_every_step(
    container: Container, aws: tuple[str, Any], tiny_artifact: Path, tmp_path: Path
) -> None:
    url, client = aws
    version = Store(MODELS, "demo", client).publish(tiny_artifact)
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a superb film", None, "a boring awful dull film"]}), file)
    key = "inbox/demo/films.parquet"
    etag = client.put_object(Bucket=FILES, Key=key, Body=file.getvalue())["ETag"].strip('"')
    job = Job(model="demo", model_version=version, bucket=FILES, key=key, size=len(file.getvalue()), etag=etag)

    def step(verb: str, event: dict[str, Any]) -> dict[str, Any]:
        settings = BatchSettings(model="demo", model_bucket=MODELS, data_bucket=FILES)
        variables = {**settings.to_env(), "POWERTOOLS_SERVICE_NAME": "demo", "AWS_ENDPOINT_URL": url}
        with container.boot(tmp_path / verb, variables, command=[f"functions.batch.{verb}.handler"]) as api:
            answer: dict[str, Any] = api.invoke(event)
        return answer

    planned = step("plan", {"job": asdict(job)})
    assert (planned["state"], planned["rows"]) == ("planned", 3)
    (line,) = client.get_object(Bucket=FILES, Key=planned["shards"])["Body"].read().splitlines()
    assert step("score", {"folder": planned["folder"], "shard": json.loads(line)})["final"]
    finished = step("finish", {"folder": planned["folder"]})
    assert (finished["rows"], finished["scored"], finished["errors"]) == (3, 2, 1)
    body = client.get_object(Bucket=FILES, Key="outbox/demo/films.parquet/films.scored.parquet")["Body"].read()
    assert set(pq.read_table(io.BytesIO(body))["label"].to_pylist()) <= set(read_manifest(tiny_artifact).labels)


def test_every_module_imports_from_the_pinned_packages(container: Container) -> None:
    script = """if True:
        import importlib, pkgutil, slipway, zstandard
        [importlib.import_module(module.name) for module in pkgutil.walk_packages(slipway.__path__, "slipway.")]
        print("imported")
    """
    assert container.run("python3", "-c", script).endswith("imported")


def test_the_bill_of_materials_has_all_that_is_pinned(container: Container) -> None:
    bill = json.loads(container.run("cat", "sbom.cdx.json"))
    pinned = (ROOT / "functions/batch/requirements.txt").read_text()
    found = {component["name"]: component["version"] for component in bill["components"]}
    assert found == dict(re.findall(r"^([a-z0-9-]+)==(\S+)", pinned, re.MULTILINE))
