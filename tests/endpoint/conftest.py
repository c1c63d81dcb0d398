"""A server that the tests of a file share, and one whose batches a test can hold."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from functions.endpoint.engine import Engine, open_engine
from slipway.settings.endpoint import EndpointSettings
from tests.endpoint.process import Endpoint, endpoint, ready

GATED = (str(Path(__file__).with_name("gated.py")),)


@pytest.fixture(scope="module")
def server(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tiny_artifact, tmp_path_factory.mktemp("server")) as running:
        yield ready(running)


@pytest.fixture(scope="session")
def engine(tiny_artifact: Path) -> Engine:
    return open_engine(EndpointSettings(model_directory=str(tiny_artifact), device="cpu"))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """While it is there, no batch comes back."""
    return tmp_path / "gate"


@pytest.fixture
def held(tiny_artifact: Path, gate: Path, tmp_path: Path) -> Iterator[Callable[..., Endpoint]]:
    """A server with these settings, whose gate is open."""
    with contextlib.ExitStack() as stack:

        def start(**settings: object) -> Endpoint:
            program = (*GATED, str(gate))
            return ready(stack.enter_context(endpoint(tiny_artifact, tmp_path, program=program, **settings)))

        yield start
