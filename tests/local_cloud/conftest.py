"""A cloud of the tests' own, beside any that a demo runs, with the demo's stage deployed into it once."""

from collections.abc import Iterator

import pytest

from infra.local_cloud import LocalCloud
from infra.local_cloud.ports import free_port


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The local stage with the model "demo", deployed; what it is reached by is ``cloud.outputs()``."""
    cloud = LocalCloud(tmp_path_factory.mktemp("cloud"), free_port())
    try:
        cloud.deploy({"model": "demo"})
        yield cloud
    finally:
        cloud.stop()
