"""The predict function while S3 is broken: at a cold start, while warm, at a promotion, while a canary loads."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from tests.faults.outcomes import Outcome, arranged, require_hits, summary
from tests.faults.proxy import Fault
from tests.faults.stage import Seen, Stage

_REQUESTS = 4
_PATIENCE = 20.0  # seconds for a service to come back; the machine may be busy
Run = Callable[[Stage], Outcome]


def cold(*faults: Fault, promoted: bool = False, settled: str = "v1") -> Run:
    """A function starts while it lasts; ``promoted`` has the second version live, with the first one before it."""

    def run(stage: Stage) -> Outcome:
        if promoted:
            stage.store().promote(stage.second, by="row", why="next")
        now = arranged(faults, stage)
        with stage.proxy.broken(*now), _no_patience_for_refusals(), stage.cold() as ask:
            seen = [ask() for _ in range(_REQUESTS)]
            require_hits(now)
            stage.proxy.faults = []
            stage.proxy.over.set()
            return _outcome(stage, seen, ask, _version(stage, settled))

    return run


def warm(*faults: Fault, settled: str = "v1") -> Run:
    """A warm function asks for the pointer while it lasts."""

    def run(stage: Stage) -> Outcome:
        with stage.cold() as ask:
            before = ask()
            now = arranged(faults, stage)
            with stage.proxy.broken(*now):
                seen = _through(ask, now)
            assert before.version == stage.first
            return _outcome(stage, seen, ask, _version(stage, settled))

    return run


def promotion(*faults: Fault, canary: bool = False) -> Run:
    """The second version is promoted, or made a canary of one half, while its files cannot be read."""

    def run(stage: Stage) -> Outcome:
        with _no_patience_for_refusals(), stage.cold() as ask:
            ask()
            now = arranged(faults, stage)
            with stage.proxy.broken(*now):
                if canary:
                    stage.store().canary(stage.second, 0.999, by="row", why="try")
                else:
                    stage.store().promote(stage.second, by="row", why="next")
                seen = _through(ask, now)
            return _outcome(stage, seen, ask, stage.second)

    return run


def full_disk(stage: Stage) -> Outcome:
    """/tmp refuses every byte of a model's files while a version is promoted."""
    real = Path.open

    def refuse(path: Path, mode: str = "r", *rest: object) -> object:
        if "w" in mode and stage.second in str(path):
            raise OSError(28, os.strerror(28), str(path))
        return real(path, mode, *rest)  # type: ignore[call-overload]

    with stage.cold() as ask:
        ask()
        with mock.patch.object(Path, "open", refuse):
            stage.store().promote(stage.second, by="row", why="next")
            seen = _spread(ask)
        return _outcome(stage, seen, ask, stage.second)


def clock_jump(seconds: float) -> Run:
    """The wall clock jumps; what ages is counted by the monotonic clock."""

    def run(stage: Stage) -> Outcome:
        real = time.time

        def jumped() -> float:
            return real() + seconds

        with stage.cold() as ask:
            ask()
            with mock.patch("time.time", jumped):
                stage.store().promote(stage.second, by="row", why="next")
                seen = _spread(ask)
            return _outcome(stage, seen, ask, stage.second)

    return run


def _through(ask: Callable[[], Seen], faults: list[Fault]) -> list[Seen]:
    """Requests until each fault was met, and a few more."""
    seen, end = [ask()], time.monotonic() + _PATIENCE
    while not all(fault.hits for fault in faults) and time.monotonic() < end:
        time.sleep(0.06)
        seen.append(ask())
    require_hits(faults)
    return seen + _spread(ask)


def _spread(ask: Callable[[], Seen]) -> list[Seen]:
    seen = []
    for _ in range(_REQUESTS):
        time.sleep(0.06)  # past the poll
        seen.append(ask())
    return seen


def _outcome(stage: Stage, seen: list[Seen], ask: Callable[[], Seen], wanted: str) -> Outcome:
    """Asks on until ``wanted`` answers."""
    began, after = time.monotonic(), ask()
    while after.version != wanted and time.monotonic() - began < _PATIENCE:
        time.sleep(0.1)
        after = ask()
    back = after.version == wanted
    name = {stage.first: "v1", stage.second: "v2"}[wanted]
    return Outcome(
        summary(seen, stage),
        sum(each.lost for each in seen) + (not back),
        f"{name} answers" if back else "does not come back",
    )


def _no_patience_for_refusals() -> "mock._patch[float]":
    """A version that was refused is tried again after a minute: a second will do here."""
    return mock.patch("functions.predict.loading._REFUSED_SECONDS", 1.0)


def _version(stage: Stage, name: str) -> str:
    return stage.first if name == "v1" else stage.second
