"""The image, built once a session from the repository's own Dockerfile on the stand-in base, and a container of it."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from .container import Container
from .stand_in import Buildah, base_image, missing_tools

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def buildah() -> Iterator[Buildah]:
    """The build tool; one session at a time, so that what a killed session left behind can be removed."""
    if problem := missing_tools():
        pytest.fail(problem, pytrace=False)  # never skipped: this is the image's only proof
    tool = Buildah(ROOT / ".local" / "image")
    tool.home.mkdir(parents=True, exist_ok=True)
    with (tool.home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tool("rm", "--all")
        yield tool


@pytest.fixture(scope="session")
def image(buildah: Buildah) -> str:
    """The tag of the predict image, built from the Dockerfile as it is."""
    base = base_image(buildah, ROOT / "pyproject.toml")
    arguments = ("--file", str(ROOT / "functions/predict/Dockerfile"), "--build-arg", f"BASE={base}")
    buildah.build("localhost/slipway-predict", *arguments, context=ROOT)
    buildah("rmi", "--prune")  # what an earlier run built: 250 MB each
    return "localhost/slipway-predict"


@pytest.fixture(scope="session")
def container(buildah: Buildah, image: str) -> Iterator[Container]:
    """A container of the image that the session's tests share; only /tmp is writable to the function."""
    running = Container(buildah, image)
    yield running
    running.close()
