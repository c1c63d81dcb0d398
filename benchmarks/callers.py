"""The parent's end of ``benchmarks.load``: callers that are started, waited for, and what they met."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.asking import Dialect
from benchmarks.options import ROOT
from benchmarks.peers.worker import environment
from benchmarks.servers import Server

_NO_END = 3_600.0  # seconds; for callers that end after a number of requests


@dataclass(frozen=True, kw_only=True)
class Met:
    """What callers met in ``took`` seconds: ``seconds`` of each answer, whatever its status."""

    statuses: Mapping[str, int]
    seconds: Sequence[float]
    broken: int
    refused: int
    took: float

    @property
    def good(self) -> int:
        """Answers with 200."""
        return self.statuses.get("200", 0)

    @property
    def otherwise(self) -> int:
        """Answers with another status."""
        return len(self.seconds) - self.good

    @property
    def failed(self) -> int:
        """Requests without their answer."""
        return self.otherwise + self.broken + self.refused

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.took

    def quantile(self, share: float) -> float:
        """Of the seconds that answers took; infinite without any."""
        return float(np.quantile(self.seconds, share)) if self.seconds else float("inf")


def load(server: Server, clients: int, seconds: float, texts: Sequence[str], dialect: Dialect | None = None) -> Met:
    """So many clients for so many seconds, in the server's dialect or another one that it knows."""
    server = replace(server, dialect=dialect or server.dialect)
    with callers(server, clients, seconds, texts) as started:
        return met(started)


def load_requests(server: Server, clients: int, count: int, texts: Sequence[str]) -> Met:
    """So many clients until ``count`` requests are answered."""
    with callers(server, clients, _NO_END, texts, "--requests", str(count)) as started:
        return met(started)


@contextmanager
def callers(
    server: Server, clients: int, seconds: float, texts: Sequence[str], *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Their process, which ends with the block; ``met`` waits for it."""
    command = [sys.executable, "-m", "benchmarks.load", str(server.port), str(clients), str(seconds), *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin  # noqa: S101  it is a pipe
    asked = {"path": server.dialect.path, "bodies": [server.dialect.body(text) for text in texts]}
    process.stdin.write(json.dumps(asked).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def met(started: subprocess.Popen[bytes]) -> Met:
    """What they met, once they are done."""
    assert started.stdout  # noqa: S101  it is a pipe
    with started.stdout:
        told: dict[str, Any] = json.loads(started.stdout.read())
    return Met(**told)
