"""The endpoint as a process of its own on loopback, as its container starts it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds: the machine may be busy


@dataclass
class Answer:
    """What came back over HTTP, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, response: HTTPResponse) -> "Answer":
        headers = {name.lower(): value for name, value in response.getheaders()}
        return cls(response.status, headers, response.read())

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Endpoint:
    """A running process: ``port`` speaks HTTP, ``grpc_port`` gRPC, ``log`` has what it printed."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0
    grpc_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            return Answer.read(connection.getresponse())

    def invoke(self, document: Any, **headers: str) -> Answer:
        """``/invocations`` in JSON; a header's underscores are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/invocations", json.dumps(document), {"content-type": "application/json", **named})

    def metric(self, name: str) -> float:
        """The value of a sample without labels, or with them as Prometheus writes them."""
        page = self.ask("GET", "/metrics").body.decode()
        return float(next(line for line in page.splitlines() if line.startswith(f"{name} ")).rpartition(" ")[2])

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_for(self, condition: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def terminate(self) -> int:
        """SIGTERM; the status that it exits with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def endpoint(
    model: Path, folder: Path, *, program: tuple[str, ...] = ("-m", "functions.endpoint", "serve"), **settings: object
) -> Iterator[Endpoint]:
    """A process that serves ``model`` until the block ends. Its settings are those of ``EndpointSettings``."""
    given = {"model_directory": model, "device": "cpu", "host": "127.0.0.1", "port": 0, "grpc_port": 0}
    given |= {"drain_notice_seconds": 0.5, **settings}
    variables = {f"SLIPWAY_{name.upper()}": str(value) for name, value in given.items()}
    environment = {**os.environ, **variables, "PYTHONPATH": f"{ROOT}/layers/runtime/python:{ROOT}"}
    log = folder / "endpoint.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *program], env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
        )
    running = Endpoint(process, log)
    try:
        running.wait_for(lambda: sum(line["message"] == "listening" for line in running.lines()) == 2)
        ports = {name: line[name] for line in running.lines() for name in ("port", "grpc_port") if name in line}
        running.port, running.grpc_port = ports["port"], ports["grpc_port"]
        yield running
    finally:
        process.kill()
        process.wait()


def ready(running: Endpoint) -> Endpoint:
    """The same, when it says that it can answer."""
    running.wait_for(lambda: running.ask("GET", "/ping").status == 200)
    return running
