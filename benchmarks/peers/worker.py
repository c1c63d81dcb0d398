"""The parent's end of the pipe: a peer's process, started, asked, ended."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measure import Sample, Skipped
from benchmarks.options import ROOT

IMPORTS = os.pathsep.join(map(str, (ROOT, ROOT / "layers/runtime/python")))
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def environment(**extra: str) -> dict[str, str]:
    """A child's variables: one thread for every library, no network; bytecode is written as anywhere."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **_ONE_THREAD, **_OFFLINE, "PYTHONPATH": IMPORTS, **extra}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A row: which interpreter runs which module of ``benchmarks.peers`` with which arguments."""

    name: str
    python: Path
    module: str
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        return [str(self.python), "-m", f"benchmarks.peers.{self.module}", *self.arguments]


class Worker:
    """A peer's process, ready to answer. A context manager.

    ``versions`` names its packages. Raises Skipped if it cannot load, with its own reason; its output is in ``log``.
    """

    def __init__(self, peer: Peer, logs: Path) -> None:
        self.peer = peer
        self.log = logs / f"{re.sub(r'[^a-z0-9]+', '-', peer.name.lower()).strip('-')}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                peer.command(),
                cwd=ROOT,
                env=environment(**peer.variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            self.versions: list[str] = self._receive()["ready"]
        except BaseException:  # raised again: no process is left behind, by Ctrl-C either
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def time(self, calls: Sequence[Sequence[str]], row: str = "") -> list[Sample]:
        """Let it answer each of ``calls``, a list of texts; seconds that each took, as the child measured them."""
        return [Sample(*pair) for pair in self._ask({"do": "time", "row": row, "calls": calls})["samples"]]

    def memory(self) -> dict[str, int]:
        """Bytes: ``resident``, ``peak``, and ``own``, which no file backs."""
        memory: dict[str, int] = self._ask({"do": "memory"})
        return memory

    def close(self) -> None:
        """Close the pipe, which ends the child."""
        process = self._process
        process.kill()
        process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin  # noqa: S101  it is a pipe
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return self._receive()

    def _receive(self) -> Any:
        assert self._process.stdout  # noqa: S101  it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        message = json.loads(line)
        if reason := message.get("failed"):
            raise Skipped(" ".join(reason.split())[:300])
        return message

    def _ended(self) -> Skipped:
        last = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()][-1:]
        return Skipped(f"its process ended: {(last or ['it said nothing'])[0].strip()[:300]}")
