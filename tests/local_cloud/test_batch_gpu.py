"""A large file is scored by the endpoint, in files that are asked about; whatever happens to it, no row is lost."""

import io
import json
import time
from collections.abc import Callable, Iterator
from csv import DictReader
from pathlib import Path
from typing import Any

import pytest

from infra.gpu_async import async_settings
from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.async_endpoint import AsyncEndpoint
from infra.local_cloud.endpoint import LocalEndpoint
from infra.local_cloud.ports import free_port
from slipway.store import Store

pytestmark = pytest.mark.slow

LARGE = 25_000  # rows: two shards
PATIENCE = 120


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, tiny_artifact: Path) -> Iterator[LocalEndpoint]:
    found = LocalEndpoint(
        tmp_path_factory.mktemp("endpoint"),
        artifact=tiny_artifact,
        port=free_port(),
        grpc_port=free_port(),
        limits=async_settings().to_env() | {"SLIPWAY_DEVICE": "auto"},
    )
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    found = LocalCloud(tmp_path_factory.mktemp("asked"), free_port())
    yield found
    found.stop()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def outputs(cloud: LocalCloud, port: int, tiny_artifact: Path) -> Outputs:
    """A stage whose large jobs ask, with a version live."""
    address = f"http://127.0.0.1:{port}"
    context = {"model": "demo", "gpu_async": "true", "gpu_batch_texts": f"{LARGE}", "gpu_local": address}
    outputs = cloud.deploy(context)
    store = Store(outputs.model_bucket, outputs.model, cloud.client("s3"))
    store.promote(store.publish(tiny_artifact), by="test", why="first")
    return outputs


@pytest.fixture(scope="module")
def asynchronous(cloud: LocalCloud, outputs: Outputs, endpoint: LocalEndpoint, port: int) -> Iterator[AsyncEndpoint]:
    folder = f"s3://{outputs.data_bucket}/async/demo"
    found = AsyncEndpoint(s3=cloud.client("s3"), folder=folder, answering=endpoint.url, port=port)
    found.start()
    yield found
    found.stop()


Scored = Callable[[str, int], tuple[dict[str, Any], list[dict[str, str]]]]


@pytest.fixture
def scored(cloud: LocalCloud, outputs: Outputs) -> Scored:
    """Upload so many rows under a name; the manifest and the rows that come back."""
    s3 = cloud.client("s3")

    def run(name: str, rows: int) -> tuple[dict[str, Any], list[dict[str, str]]]:
        texts = (f"{'a superb film' if row % 3 else 'an awful plot'} {row}" for row in range(rows))
        content = "id,text\n" + "".join(f'{row},"{text}, ""so"""\n' for row, text in enumerate(texts))
        s3.put_object(Bucket=outputs.data_bucket, Key=f"inbox/demo/{name}", Body=content.encode())
        document = waited(s3, outputs.data_bucket, f"outbox/demo/{name}/manifest.json")
        assert document["state"] == "finished", document
        (result,) = document["results"]
        back = s3.get_object(Bucket=outputs.data_bucket, Key=result["key"])["Body"].read().decode()
        return document, [*DictReader(io.StringIO(back, newline=""))]

    return run


def waited(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            time.sleep(0.3)
            continue
        return document
    raise AssertionError(f"no {key} in {PATIENCE} s")


def test_the_endpoint_scores_large_files_and_functions_what_it_does_not_answer(
    scored: Scored, asynchronous: AsyncEndpoint, endpoint: LocalEndpoint
) -> None:
    small, _ = scored("small.csv", 100)
    assert (set(small["backends"]), asynchronous.asked) == ({"cpu-int8"}, [])

    asked, rows = scored("asked.csv", LARGE)
    assert asked["backends"] == {"endpoint-cpu-int8": {"scored": LARGE, "shards": len(asked["shards"])}}
    assert sorted(asynchronous.asked) == [f"{asked['job']}-{shard:06d}" for shard in range(len(asked["shards"]))]
    assert [row["id"] for row in rows] == [str(row) for row in range(LARGE)]
    print(f"asked: {asked['seconds']} s, {len(asked['shards'])} shards")

    endpoint.kill()
    killed, again = scored("killed.csv", LARGE)
    assert killed["backends"] == {"cpu-int8": {"scored": LARGE, "shards": len(killed["shards"])}}
    assert again == rows, "the tiny artifact has one precision here, so that even the scores are the same"
    print(f"endpoint killed: {killed['seconds']} s")

    asynchronous.stop()
    gone, once_more = scored("gone.csv", LARGE)
    assert set(gone["backends"]) == {"cpu-int8"}
    assert once_more == rows
    print(f"nobody there: {gone['seconds']} s")
