"""``make demo-gpu``: heavy traffic goes to the endpoint, and whatever happens to it the CPU answers.

The endpoint is its container's server as a process on this machine, on the CPU where there is no GPU: what it shows is
who answers, not how fast. A line a second; every request that fails is counted.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from infra.demo import MODEL, TEXT, CommandFailed, build, heading, publish, say
from infra.local_cloud import LocalCloud, LocalCloudError, Outputs
from infra.local_cloud.endpoint import LocalEndpoint
from infra.local_cloud.ports import free_port

# Requests a second of one of the function's processes, among which the local cloud divides them: far below a real
# break-even, so that a laptop's load is heavy.
ENTER, LEAVE = 1.5, 0.5
QUIET, HEAVY = 1.0, 25.0  # requests a second that the demo sends
_CALLERS = 4


@dataclass(frozen=True)
class Second:
    """What the requests of one second met: answers by backend, failures, and their median in milliseconds."""

    at: int
    event: str
    backends: Counter[str]
    failed: int
    milliseconds: float


@dataclass
class Load:
    """Callers that send ``rate`` requests a second together, until the block of ``running`` ends."""

    outputs: Outputs
    rate: float = QUIET
    _answers: list[tuple[str, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _end: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send meanwhile."""
        callers = [
            threading.Thread(target=self._call, args=[number / self.rate], daemon=True) for number in range(_CALLERS)
        ]
        for caller in callers:
            caller.start()
        try:
            yield self
        finally:
            self._end.set()
            for caller in callers:
                caller.join()

    def taken(self) -> list[tuple[str, float]]:
        """Backend (empty if it failed) and milliseconds of each request since the last call."""
        with self._lock:
            found, self._answers = self._answers, []
        return found

    def _call(self, pause: float) -> None:
        while not self._end.wait(pause):
            pause = _CALLERS / self.rate
            began = time.perf_counter()
            backend = _ask(self.outputs)
            with self._lock:
                self._answers.append((backend, (time.perf_counter() - began) * 1e3))


def _ask(outputs: Outputs) -> str:
    """The backend that answered; empty if nobody did."""
    url = f"{outputs.api_url}/v1/models/{outputs.model}:predict"
    headers = {"x-api-key": outputs.api_key, "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"instances": [TEXT]}).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the local cloud's own address
            return str(json.loads(response.read())["backend"])
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return ""


def timeline(
    outputs: Outputs, endpoint: LocalEndpoint, *, tell: Callable[[Second], None] = lambda _: None
) -> list[Second]:
    """Light, heavy, the endpoint killed, the endpoint back: a row a second, until each has shown what it is to show."""
    seconds: list[Second] = []
    with Load(outputs).running() as load:
        for phase in _phases(endpoint):
            load.rate = phase.rate
            phase.begin()
            load.taken()
            for number in range(phase.longest):
                time.sleep(1)
                row = _row(len(seconds) + 1, phase.event if not number else "", load.taken())
                seconds.append(row)
                tell(row)
                if phase.shown(row) and number >= _LEAST:
                    break
    return seconds


_LEAST = 3  # seconds that each phase is watched


@dataclass(frozen=True)
class _Phase:
    """What is done to the endpoint, and in which second it has ``shown`` what it is to show; ``longest`` in seconds."""

    event: str
    rate: float
    begin: Callable[[], None]
    shown: Callable[[Second], bool]
    longest: int


def _phases(endpoint: LocalEndpoint) -> tuple[_Phase, ...]:
    def as_it_is() -> None:
        """Nothing is done to it."""

    return (
        _Phase("light traffic", QUIET, as_it_is, by_cpu, 6),
        _Phase("heavy traffic", HEAVY, as_it_is, by_endpoint, 60),
        _Phase("the endpoint is killed", HEAVY, endpoint.kill, by_cpu, 30),
        _Phase("the endpoint is started again", HEAVY, endpoint.start, by_endpoint, 60),
    )


def by_cpu(row: Second) -> bool:
    """Whether the CPU answered all of a second."""
    return bool(row.backends) and not any(map(is_endpoint, row.backends))


def by_endpoint(row: Second) -> bool:
    """Whether the endpoint answered most of a second: each process decides for itself, and some breaker may be open."""
    there = sum(count for backend, count in row.backends.items() if is_endpoint(backend))
    return 2 * there > row.backends.total()


def is_endpoint(backend: str) -> bool:
    """Whether a backend's name is the endpoint's, with a GPU or standing for one."""
    return backend.startswith(("gpu-", "endpoint-"))


def _row(at: int, event: str, answers: list[tuple[str, float]]) -> Second:
    backends = Counter(backend for backend, _ in answers if backend)
    middle = median([milliseconds for _, milliseconds in answers]) if answers else 0.0
    return Second(at, event, backends, sum(not backend for backend, _ in answers), middle)


def main() -> int:
    """Run the demo; exit code 0 if no request failed."""
    cloud = LocalCloud()
    try:
        return _demo(cloud)
    except (LocalCloudError, CommandFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _demo(cloud: LocalCloud) -> int:
    heading("1. Build the model, or take the one that make demo has built")
    artifact = Path(build())
    port, grpc_port = free_port(), free_port()
    heading("2. Deploy with an endpoint beside it, and publish the model")
    context = {
        "model": MODEL,
        "gpu_local": f"http://127.0.0.1:{port}",
        "gpu_enter_rps": f"{ENTER:g}",
        "gpu_leave_rps": f"{LEAVE:g}",
    }
    say(" ".join(["python -m infra.local_cloud deploy", *(f"-c {name}={value}" for name, value in context.items())]))
    outputs = cloud.deploy(context)
    publish(cloud, outputs, str(artifact), why="make demo-gpu")
    heading("3. The endpoint's server, as its container runs it")
    say(f"SLIPWAY_MODEL_DIRECTORY={artifact} python -m functions.endpoint serve")
    endpoint = LocalEndpoint(cloud.directory, artifact=artifact, port=port, grpc_port=grpc_port)
    endpoint.start()
    try:
        return _show(outputs, endpoint)
    finally:
        endpoint.stop()


def _show(outputs: Outputs, endpoint: LocalEndpoint) -> int:
    heading(f"4. Requests a second: light traffic is {QUIET:g} here, heavy {HEAVY:g}")
    print("  second   cpu   endpoint   failed   median ms")
    seconds = timeline(outputs, endpoint, tell=_print)
    failed = sum(row.failed for row in seconds)
    answered = sum(sum(row.backends.values()) for row in seconds)
    print(f"\n{answered} requests answered, {failed} failed. The local cloud goes on running; `make down` stops it.")
    return 1 if failed else 0


def _print(row: Second) -> None:
    there = sum(count for backend, count in row.backends.items() if is_endpoint(backend))
    here = sum(row.backends.values()) - there
    print(f"  {row.at:6}   {here:3}   {there:8}   {row.failed:6}   {row.milliseconds:9.1f}   {row.event}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
