"""The endpoint's image, built by its Dockerfile for the CPU, and its server in it as SageMaker starts it."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from slipway.artifact import read_manifest

from .container import Container
from .stand_in import Buildah, base_image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TAG = "localhost/slipway-endpoint"
PATIENCE = 120.0  # seconds


@pytest.fixture(scope="module")
def container(buildah: Buildah) -> Iterator[Container]:
    base = base_image(buildah, ROOT / "pyproject.toml")
    arguments = ("--file", str(ROOT / "functions/endpoint/Dockerfile"), "--build-arg", f"BASE={base}")
    buildah.build(TAG, *arguments, "--build-arg", "DEVICE=cpu", context=ROOT)
    running = Container(buildah, TAG)
    yield running
    running.close()


@contextmanager
def served(buildah: Buildah, container: Container, model: Path, log: Path) -> Iterator[int]:
    """The port on which the image's own entry point listens, with the model where SageMaker puts it."""
    settings = ("--env", "SLIPWAY_HOST=127.0.0.1", "--env", "SLIPWAY_PORT=0", "--env", "SLIPWAY_GRPC_PORT=0")
    program = [*container.config["Entrypoint"], *container.config["Cmd"]]
    command = ("run", "--volume", f"{model}:/opt/ml/model:ro", *settings, container.name, "--", *program)
    with log.open("wb") as output:
        process = subprocess.Popen(
            buildah.command(*command), env=buildah.environment(), stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield await_port(process, log)
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            time.sleep(0.2)
        process.wait()


def await_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Until it serves."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        if any(line["message"] == "serving" for line in lines):
            return int(next(line["port"] for line in lines if "port" in line))
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def ask(port: int, method: str, path: str, document: Any = None) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, json.dumps(document), {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()


def test_it_is_started_as_sagemaker_starts_it(container: Container) -> None:
    assert container.config["Entrypoint"] == ["python", "-m", "functions.endpoint"]  # no shell to keep signals back
    assert container.config["Cmd"] == ["serve"]


def test_it_answers_ping_invocations_and_metrics(
    buildah: Buildah, container: Container, tiny_artifact: Path, tmp_path: Path
) -> None:
    with served(buildah, container, tiny_artifact, tmp_path / "log") as port:
        assert ask(port, "GET", "/ping")[0] == 200
        status, body = ask(port, "POST", "/invocations", {"instances": ["a superb film", "a dull one"]})
        assert (status, json.loads(body)["model_version"]) == (200, read_manifest(tiny_artifact).version)
        assert b"slipway_texts_total 2.0" in ask(port, "GET", "/metrics")[1]


def test_it_holds_nothing_of_lambdas_and_no_training_stack(container: Container) -> None:
    absent = ["torch", "transformers", "aws_lambda_powertools", "botocore", "obstore", "h11", "pydantic"]
    script = f"import importlib.util as u; print([n for n in {absent} if u.find_spec(n)])"
    assert container.run("python", "-c", script) == "[]"


def test_everything_is_compiled_whatever_its_mtime(container: Container) -> None:
    script = """if True:
        import importlib.util, pathlib
        def unchecked(source):
            compiled = pathlib.Path(importlib.util.cache_from_source(source))
            return compiled.exists() and compiled.read_bytes()[4:8] == bytes([1, 0, 0, 0])  # PEP 552: hash, unchecked
        sources = [str(path) for path in pathlib.Path(".").rglob("*.py")]
        print(len(sources) > 500, [source for source in sources if not unchecked(source)])
    """
    assert container.run("python", "-c", script) == "True []"


def test_the_bill_of_materials_has_all_that_is_pinned(container: Container) -> None:
    bill = json.loads(container.run("cat", "sbom.cdx.json"))
    pinned = "".join(
        (ROOT / f"functions/endpoint/{file}.txt").read_text() for file in ("requirements-cpu", "requirements")
    )
    found = {component["name"]: component["version"] for component in bill["components"]}
    assert found == dict(re.findall(r"^([a-z0-9-]+)==(\S+)", pinned, re.MULTILINE))
