"""The child's end of the pipe: answers texts when it is told to, and times itself. Standard library only.

One JSON document a line each way. First the child says ``ready`` or ``failed``; then ``time`` is answered with seconds
on the clock and of the processor, one pair a call, and ``memory`` with bytes.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Elsewhere:
    """What a call returns if some of its seconds are not its own: on the clock, and of the processor."""

    wall: float
    cpu: float


Call = Callable[[], object]
# What happens before the clock starts: a list of texts becomes the call that is timed.
Prepare = Callable[[list[str]], Call]


_NOWHERE = Elsewhere(0, 0)


def serve(load: Callable[[], Mapping[str, Prepare]], packages: Sequence[str] = ()) -> None:
    """Load once, say so, then do what the parent asks until it closes the pipe."""
    pipe = _take_stdout()
    try:
        rows = load()
    except Exception as error:  # whatever keeps a peer from running is the reason that its row is left out
        _say(pipe, {"failed": f"{type(error).__name__}: {error}"})
        return
    _say(pipe, {"ready": [f"{name} {version(name)}" for name in packages]})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _say(pipe, memory() if request["do"] == "memory" else _time(rows[request["row"]], request["calls"]))
        except Exception as error:  # as above
            _say(pipe, {"failed": f"{type(error).__name__}: {error}"})


def answer_with(answer: Callable[[list[str]], object]) -> Mapping[str, Prepare]:
    """The only row of a child that has nothing to prepare."""
    return {"": lambda texts: lambda: answer(texts)}


def _time(prepare: Prepare, calls: list[list[str]]) -> dict[str, Any]:
    samples = []
    for call in map(prepare, calls):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        other = answer if isinstance(answer, Elsewhere) else _NOWHERE
        samples.append((wall - other.wall, cpu - other.cpu))
    return {"samples": samples}


def memory() -> dict[str, int]:
    """Bytes: resident now, resident at most, and the part of the first that is not a file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {name: value for name, _, value in (line.partition(":") for line in lines)}
    kilobytes = {name: int(status[name].split()[0]) for name in ("VmRSS", "VmHWM", "RssAnon")}
    return {"resident": kilobytes["VmRSS"] << 10, "peak": kilobytes["VmHWM"] << 10, "own": kilobytes["RssAnon"] << 10}


def _take_stdout() -> IO[str]:
    """The pipe; whatever else is printed goes to standard error."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def _say(pipe: IO[str], message: Mapping[str, Any]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()
