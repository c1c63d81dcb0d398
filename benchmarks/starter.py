"""Fresh processes, from their start to their first answer."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.measure import Sample
from benchmarks.options import ROOT
from benchmarks.runtime_api import FunctionFailed, RuntimeApi
from benchmarks.starts import PIPE, STARTED

_PATIENCE = 1.0  # seconds between looks whether the process still runs


@dataclass(frozen=True, kw_only=True)
class Start:
    """A module with its arguments; ``event`` is what it is asked first if it is a Lambda function.

    ``interpreter`` holds options of Python itself.
    """

    module: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    event: Mapping[str, Any] | None = None
    interpreter: Sequence[str] = ()


class Starter:
    """Starts one process after the other. What the last one printed is in ``log``."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, start: Start) -> Sample:
        """Seconds from the start to the first answer. Raises FunctionFailed if none comes."""
        read, write = os.pipe()
        with tempfile.TemporaryDirectory() as scratch, os.fdopen(read, "rb") as pipe, RuntimeApi(start.event) as api:
            own = {"AWS_LAMBDA_RUNTIME_API": api.address, "TMPDIR": scratch, PIPE: str(write)}
            began = time.perf_counter()
            process = self._spawn(start, own, write)
            os.close(write)
            try:
                at = self._answered(start, process, pipe, api)
            finally:
                cpu = _end(process)
        return Sample(at - began, cpu)

    def _spawn(self, start: Start, own: Mapping[str, str], pipe: int) -> subprocess.Popen[bytes]:
        environment = {**start.environment, **own, STARTED: str(time.monotonic())}
        command = [sys.executable, *start.interpreter, "-m", start.module, *start.arguments]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[pipe]
            )

    def _answered(self, start: Start, process: subprocess.Popen[bytes], pipe: IO[bytes], api: RuntimeApi) -> float:
        """When the first answer came."""
        if start.event is None:
            if pipe.read(1) == b".":
                return time.perf_counter()
            raise self._ended(start)
        while (found := api.answer(_PATIENCE)) is None:
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise self._ended(start)
        at, answer = found
        if answer.get("statusCode") != 200:
            raise FunctionFailed(json.dumps(answer)[:500])
        return at

    def _ended(self, start: Start) -> FunctionFailed:
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return FunctionFailed(f"{start.module} ended: {last[0]}")


def _end(process: subprocess.Popen[bytes]) -> float:
    """Kill it; the processor's seconds that it had used."""
    os.kill(process.pid, signal.SIGKILL)  # not send_signal: that reaps one that has ended, and its usage with it
    _, process.returncode, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime
