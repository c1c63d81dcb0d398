"""The endpoint's server on this machine's CPU: requests a second by clients, and its end under load."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import Skipped
from benchmarks.options import ROOT, Options
from benchmarks.peers.worker import environment
from benchmarks.tables import Measured, Table
from benchmarks.texts import Texts
from infra.local_cloud.ports import free_port
from slipway.artifact import read_manifest

_SECONDS = {1: 30, 32: 30, 128: 120}  # by clients
_TEXTS = 512
_READY_SECONDS = 60
_BEFORE_THE_END = 3.0  # seconds of load before SIGTERM


def measure(options: Options) -> Measured:
    """Two tables."""
    artifact = options.small or options.artifact
    texts = Texts.of(artifact).long_tailed(_TEXTS)
    with _server(artifact, options.folder("logs")) as (process, port):
        rows = []
        for clients, full in _SECONDS.items():
            seconds = options.count(full, 2)
            options.progress(f"{clients} clients for {seconds} s")
            rows.append(_row(clients, port, process.pid, texts, seconds))
        options.progress("SIGTERM under load")
        ended = _ended(process, port, texts)
    manifest = read_manifest(artifact)
    notes = [f"The model is {manifest.model} {manifest.version}, {manifest.serve}, on the CPU; one text a request."]
    load = Table(
        title="(k) The endpoint's server under load",
        reading="Callers on loopback that ask again as soon as they are answered, in a process of their own on this "
        "machine. Texts of long-tailed lengths.",
        head=[
            "clients",
            "seconds",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "texts a batch",
            "not answered 200",
            "MB resident",
        ],
        rows=rows,
        notes=notes,
    )
    end = Table(
        title="(k) SIGTERM under 128 clients",
        reading="Every accepted request is to be answered, and the process to end by itself within 30 s.",
        head=["exit code", "seconds", "answered 200", "answered otherwise", "broken off"],
        rows=[ended],
    )
    return Measured([load, end])


def _row(clients: int, port: int, pid: int, texts: Sequence[str], seconds: float) -> list[str]:
    before = _batches(port)
    with _callers(port, clients, seconds, texts) as callers:
        seen = _seen(callers)
    batches, batched = (after - start for after, start in zip(_batches(port), before, strict=True))
    milliseconds = np.array(seen["seconds"]) * 1e3
    good = seen["statuses"].get("200", 0)
    failed = len(milliseconds) - good + seen["broken"] + seen["refused"]
    return [
        str(clients),
        str(seconds),
        f"{good / seconds:,.0f}",
        f"{median(milliseconds):.1f}",
        f"{np.quantile(milliseconds, 0.99):.1f}",
        f"{batched / max(1, batches):.1f}",
        str(failed),
        str(_resident_mb(pid)),
    ]


def _ended(process: subprocess.Popen[bytes], port: int, texts: Sequence[str]) -> list[str]:
    with _callers(port, max(_SECONDS), 60, texts) as callers:
        time.sleep(_BEFORE_THE_END)
        process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        code = process.wait(35)
        took = time.perf_counter() - began
        seen = _seen(callers)
    good = seen["statuses"].pop("200", 0)
    others = sum(seen["statuses"].values())
    return [str(code), f"{took:.1f}", f"{good:,}", str(others), str(seen["broken"])]


@contextmanager
def _callers(port: int, clients: int, seconds: float, texts: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(clients), str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin  # noqa: S101  it is a pipe
    process.stdin.write("".join(json.dumps(text) + "\n" for text in texts).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _seen(callers: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert callers.stdout  # noqa: S101  it is a pipe
    with callers.stdout:
        seen: dict[str, Any] = json.loads(callers.stdout.read())
    return seen


@contextmanager
def _server(artifact: Path, logs: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that serves the artifact until the block ends. Raises Skipped with its last line if it cannot."""
    port, log = free_port(), logs / "endpoint.log"
    variables = {
        "SLIPWAY_MODEL_DIRECTORY": str(artifact),
        "SLIPWAY_DEVICE": "cpu",
        "SLIPWAY_HOST": "127.0.0.1",
        "SLIPWAY_PORT": str(port),
        "SLIPWAY_GRPC_PORT": str(free_port()),
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "functions.endpoint", "serve"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(**variables), stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > end:
            raise Skipped(f"the endpoint's server does not answer: {(log.read_text().splitlines() or [''])[-1][:200]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        return _get(port, "/ping")[0] == 200
    except OSError:
        return False


def _get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.status, response.read().decode()


def _batches(port: int) -> tuple[float, float]:
    """Batches so far, and the texts in them."""
    found = dict(re.findall(r"^slipway_batch_texts_(count|sum) (\S+)$", _get(port, "/metrics")[1], re.MULTILINE))
    return float(found["count"]), float(found["sum"])


def _resident_mb(pid: int) -> int:
    """Of a Linux process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) // 1024
