"""Heavy traffic goes to the endpoint, and whatever happens to it no request fails: what `make demo-gpu` shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo_gpu import ENTER, LEAVE, by_cpu, by_endpoint, timeline
from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.endpoint import LocalEndpoint
from infra.local_cloud.ports import free_port
from slipway.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, tiny_artifact: Path) -> Iterator[LocalEndpoint]:
    found = LocalEndpoint(
        tmp_path_factory.mktemp("endpoint"), artifact=tiny_artifact, port=free_port(), grpc_port=free_port()
    )
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, endpoint: LocalEndpoint, tiny_artifact: Path) -> Iterator[Outputs]:
    """A cloud of its own, whose function knows the endpoint, with a version live."""
    cloud = LocalCloud(tmp_path_factory.mktemp("routed"), free_port())
    context = {"model": "demo", "gpu_local": endpoint.url, "gpu_enter_rps": f"{ENTER:g}", "gpu_leave_rps": f"{LEAVE:g}"}
    try:
        outputs = cloud.deploy(context)
        store = Store(outputs.model_bucket, outputs.model, cloud.client("s3"))
        store.promote(store.publish(tiny_artifact), by="test", why="first")
        yield outputs
    finally:
        cloud.stop()


def test_no_request_fails_whatever_happens_to_the_endpoint(routed: Outputs, endpoint: LocalEndpoint) -> None:
    seconds = timeline(routed, endpoint, tell=print)
    assert sum(row.failed for row in seconds) == 0
    phases = [seconds.index(row) for row in seconds if row.event]
    light, heavy, killed, again = (
        seconds[begin:end] for begin, end in zip(phases, [*phases[1:], len(seconds)], strict=True)
    )
    assert all(map(by_cpu, light))
    assert by_endpoint(heavy[-1])
    assert by_cpu(killed[-1])
    assert by_endpoint(again[-1])
