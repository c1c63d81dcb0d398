"""A cloud of the tests' own, beside any that a demo runs, with the demo's stage deployed into it once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local_cloud import LocalCloud, Outputs
from infra.local_cloud.ports import free_port
from slipway.store import Store


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The local stage with the model "demo", deployed; what it is reached by is ``outputs``."""
    cloud = LocalCloud(tmp_path_factory.mktemp("cloud"), free_port())
    try:
        cloud.deploy({"model": "demo"})
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture(scope="session")
def outputs(cloud: LocalCloud) -> Outputs:
    return cloud.outputs()


@pytest.fixture(scope="session")
def model_store(cloud: LocalCloud, outputs: Outputs) -> Store:
    return Store(outputs.model_bucket, outputs.model, cloud.client("s3"))


@pytest.fixture(scope="session")
def first(model_store: Store, tiny_artifact: Path) -> str:
    """A published version, and the one that was promoted first."""
    version = model_store.publish(tiny_artifact)
    model_store.promote(version, by="test", why="first")
    return version


@pytest.fixture(scope="session")
def second(model_store: Store, second_artifact: Path) -> str:
    """Another published version, which nobody promoted yet."""
    return model_store.publish(second_artifact)
