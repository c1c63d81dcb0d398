"""The one server process: started in the background, found again by later commands, stopped by its own pid only."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local_cloud.errors import LocalCloudError
from infra.local_cloud.ports import HOST, answers, check_port
from infra.local_cloud.tools import locked

TERM_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that was started here. Pids are reused, so ``born`` tells it from a stranger with the same pid."""

    pid: int
    born: str
    port: int

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return birth(self.pid) == self.born


def birth(pid: int) -> str | None:
    """When the process started, in whatever unit the system has; None if no such process runs."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # a name may hold spaces and parentheses
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return said.strip() or None


class Server:
    """A server that lives in ``directory``: its pid in ``<name>.json``, its output in ``<name>.log``."""

    def __init__(self, directory: Path, *, name: str, health_path: str) -> None:
        self.log = directory / f"{name}.log"
        self._name = name
        self._health_path = health_path
        self._pid_file = directory / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None

    def running(self) -> Running | None:
        """The server, if it runs; the note that a crash or a reboot left behind is removed."""
        try:
            found = Running(**json.loads(self._pid_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        if found.alive():
            return found
        self._forget()
        return None

    def start(self, command: Sequence[str], *, port: int, env: Mapping[str, str], seconds: float = 30) -> Running:
        """Start the server unless it runs, and wait until it answers on ``port``.

        Raises LocalCloudError if it runs on another port, if the port is taken, or if it dies or stays silent.
        """
        with locked(self._pid_file.with_suffix(".lock")):
            if found := self.running():
                if found.port == port:
                    return found
                raise LocalCloudError(f"{self._name} already runs here on port {found.port}: stop it first.")
            check_port(port)
            found = self._spawn(command, port=port, env=env)
            try:
                self._wait(port, seconds)
            except BaseException:  # raised again: no server is left behind, by Ctrl-C either
                self.stop()
                raise
            return found

    def stop(self) -> bool:
        """End the server and every process it started; whether there was one. SIGTERM first, SIGKILL for what stays."""
        found = self.running()
        if not found:
            return False
        _signal_group(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + TERM_SECONDS
        while found.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal_group(found.pid, signal.SIGKILL)
        self._forget()
        return True

    def _forget(self) -> None:
        """Remove the note of a process that has ended, and reap it if it was started by this very object."""
        self._pid_file.unlink(missing_ok=True)
        if self._child:
            self._child.wait()
            self._child = None

    def _spawn(self, command: Sequence[str], *, port: int, env: Mapping[str, str]) -> Running:
        try:
            self._child = self._popen(command, env)
        except OSError as error:
            raise LocalCloudError(f"{self._name} cannot be started: {error}") from error
        found = Running(pid=self._child.pid, born=birth(self._child.pid) or "", port=port)
        self._pid_file.write_text(json.dumps(vars(found)))
        return found

    def _popen(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=dict(env),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its own process group, which stop() ends as a whole
            )

    def _wait(self, port: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not answers(f"http://{HOST}:{port}{self._health_path}"):
            if self._child and self._child.poll() is not None:
                raise LocalCloudError(f"{self._name} ended at once: {self._last_line()} (log: {self.log})")
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"{self._name} did not answer on port {port} in {seconds:.0f} s (log: {self.log})"
                )
            time.sleep(0.05)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
