"""Servers of one model on loopback: ours, Triton and LitServe.

Each is a process that leads a group of its own, so that what a framework starts ends with it. A group in our session:
if this process is killed, the kernel wakes up those of its groups that are at rest, and they see that they are alone.
"""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.asking import Dialect, open_inference, predict
from benchmarks.measure import Skipped
from benchmarks.options import ROOT, Options
from benchmarks.peers.venvs import LITSERVE, TRITON, own_python
from benchmarks.peers.worker import environment
from infra.local_cloud.ports import free_port
from slipway.artifact import read_manifest

_HOST = "127.0.0.1"
_READY_SECONDS = 60
_STARTS = 3  # of Triton: its second instance has one second to find the first one's socket, and misses it when busy


class Batches(NamedTuple):
    """Batches so far, and the texts in them."""

    runs: float
    texts: float


@dataclass(frozen=True, kw_only=True)
class Server:
    """One that answers."""

    process: subprocess.Popen[bytes]
    port: int
    dialect: Dialect
    batches: Callable[[], Batches]

    def scores(self, text: str) -> list[float]:
        """The probabilities of one text, the lowest first."""
        body = json.dumps(self.dialect.body(text)).encode()
        return sorted(self.dialect.scores(json.loads(_fetch(self.port, self.dialect.path, body))))

    def rest(self) -> None:
        """Stand still: LitServe's workers look at their queue a thousand times a second, at the others' cost."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Go on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def resident_mb(self) -> float:
        """Megabytes (2^20 bytes) of the process itself, on Linux."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@contextmanager
def ours(artifact: Path, logs: Path, dialect: Dialect, device: str = "cpu") -> Iterator[Server]:
    """``functions.endpoint`` on a device. Raises Skipped with its last line if it does not answer."""
    port = free_port()
    variables = {
        "SLIPWAY_MODEL_DIRECTORY": str(artifact),
        "SLIPWAY_DEVICE": device,
        "SLIPWAY_HOST": _HOST,
        "SLIPWAY_PORT": str(port),
        "SLIPWAY_GRPC_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "functions.endpoint", "serve"]
    with _running(command, variables, logs / "endpoint.log", port, "/ping") as process:
        yield Server(process=process, port=port, dialect=dialect, batches=lambda: _metrics(port))


@contextmanager
def triton(options: Options, artifact: Path, delay_ms: float) -> Iterator[Server]:
    """Triton with so much delay in its batcher. Raises Skipped where it cannot be had."""
    python = own_python(options.venvs / "triton", TRITON)
    with ExitStack() as stack:
        for left in reversed(range(_STARTS)):
            try:
                server = stack.enter_context(_triton(python, options.folder("logs"), artifact, delay_ms))
            except Skipped:
                if not left:
                    raise
            else:
                break
        yield server


@contextmanager
def _triton(python: Path, logs: Path, artifact: Path, delay_ms: float) -> Iterator[Server]:
    port, dialect = free_port(), open_inference(read_manifest(artifact).model)
    # Its stub is linked with some libpython of this version, and must find the one whose modules it imports.
    variables = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
    with TemporaryDirectory() as folder:
        counted, workspace = Path(folder) / "batches", Path(folder) / "workspace"
        told = map(str, (artifact, counted, workspace, port, free_port(), delay_ms))
        command = [str(python), "-m", "benchmarks.peers.triton_server", *told]
        ready = f"{dialect.path.removesuffix('infer')}ready"
        with _running(command, variables, logs / f"triton-{delay_ms:g}.log", port, ready) as process:
            yield Server(process=process, port=port, dialect=dialect, batches=lambda: _lines(counted))


@contextmanager
def litserve(options: Options, artifact: Path, wait_ms: float) -> Iterator[Server]:
    """LitServe, whose batches wait so long. Raises Skipped where it cannot be had."""
    python, port = own_python(options.venvs / "litserve", LITSERVE), free_port()
    with TemporaryDirectory() as folder:
        counted = Path(folder) / "batches"
        command = [str(python), "-m", "benchmarks.peers.litserve_server", *map(str, (artifact, counted, port, wait_ms))]
        with _running(command, {}, options.folder("logs") / "litserve.log", port, "/health") as process:
            yield Server(process=process, port=port, dialect=predict(), batches=lambda: _lines(counted))


@contextmanager
def _running(
    command: list[str], variables: Mapping[str, str], log: Path, port: int, ready: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers on ``ready``, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        _wait(process, port, ready, log)
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes the pipe and waits
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended by itself, and nothing of its group is left


def _wait(process: subprocess.Popen[bytes], port: int, ready: str, log: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not _answers(port, ready):
        if process.poll() is not None or time.monotonic() > end:
            said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] or [
                "it said nothing"
            ]
            raise Skipped(f"the server does not answer: {said[-1].strip()[:200]}")
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    try:
        _fetch(port, path)
    except OSError:
        return False
    return True


def _fetch(port: int, path: str, body: bytes | None = None) -> bytes:
    """Raises OSError unless it is answered with 200."""
    request = urllib.request.Request(f"http://{_HOST}:{port}{path}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  its scheme is ours
        answer: bytes = response.read()
    return answer


def _metrics(port: int) -> Batches:
    """As our own server counts."""
    page = _fetch(port, "/metrics").decode()
    found = dict(re.findall(r"^slipway_batch_texts_(count|sum) (\S+)$", page, re.MULTILINE))
    return Batches(float(found["count"]), float(found["sum"]))


def _lines(path: Path) -> Batches:
    """As ``benchmarks.peers.served`` counts."""
    sizes = [int(line) for line in path.read_text().splitlines()]
    return Batches(len(sizes), sum(sizes))
