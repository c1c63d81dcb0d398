"""Publishing, promoting and rolling back while S3 is broken: no version is half there, no entry is missing."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from slipway.errors import SlipwayError
from slipway.loading import load_predictor
from slipway.store import Store
from tests.faults.outcomes import Outcome, arranged, require_hits
from tests.faults.proxy import Fault
from tests.faults.stage import MODEL, MODELS, Stage

Run = Callable[[Stage], Outcome]
_PUBLISH = """
import sys
from pathlib import Path
from slipway.store import Store
Store(sys.argv[1], sys.argv[2]).publish(Path(sys.argv[3]))
"""


def publish(*faults: Fault) -> Run:
    """The second version is uploaded while it lasts, and again afterwards if it was refused."""

    def run(stage: Stage) -> Outcome:
        _unpublish(stage)
        now = arranged(faults, stage)
        with stage.proxy.broken(*now):
            sees = _told(lambda: Store(MODELS, MODEL).publish(stage.artifacts[1]))
            require_hits(now)
        if sees != "done":
            Store(MODELS, MODEL).publish(stage.artifacts[1])
        return Outcome(sees, _missing(stage), "published whole")

    return run


def promote(*faults: Fault, settle: Callable[[Store], object] | None = None) -> Run:
    """The second version is promoted while it lasts, and again afterwards if it was refused; then it is rolled back."""

    def run(stage: Stage) -> Outcome:
        store = Store(MODELS, MODEL)
        now = arranged(faults, stage)
        with stage.proxy.broken(*now):
            sees = _told(lambda: store.promote(stage.second, by="row", why="next"))
            require_hits(now)
        if sees != "done" and _live(stage) != stage.second:
            store.promote(stage.second, by="row", why="again")
        store.rollback(by="row", why="back")
        return Outcome(
            sees, _missing(stage) + _unrecorded(stage, [stage.first, stage.second, stage.first]), "ledger whole"
        )

    return run


def killed(stage: Stage) -> Outcome:
    """The process that uploads is killed between two files; the same command goes on where it was."""
    _unpublish(stage)
    fault = Fault("hang", method="PUT", path=r"onnx", skip=1)
    with stage.proxy.broken(fault):
        arguments = [sys.executable, "-c", _PUBLISH, MODELS, MODEL, str(stage.artifacts[1])]
        with subprocess.Popen(arguments, env=_environment(), stderr=subprocess.DEVNULL) as process:
            end = time.monotonic() + 60
            while not fault.hits and time.monotonic() < end:
                time.sleep(0.02)
            process.kill()
        require_hits([fault])
    half = stage.second in stage.store().versions()
    Store(MODELS, MODEL).publish(stage.artifacts[1])
    return Outcome("SIGKILL", _missing(stage) + half, "half an upload was no version; published whole")


def clock_ahead(stage: Stage) -> Outcome:
    """A promotion by a machine whose clock is six hours ahead, and one after it by a machine that is right."""
    store = Store(MODELS, MODEL)
    with mock.patch("slipway.releases.datetime", _Shifted):
        store.promote(stage.second, by="row", why="ahead")
    sees = _told(lambda: store.promote(stage.first, by="row", why="right"))
    store.rollback(by="row", why="back")
    lost = _missing(stage) + _unrecorded(stage, [stage.first, stage.second, stage.first, stage.second])
    return Outcome(sees, lost, "entries in the order of the changes")


def two_at_once(stage: Stage) -> Outcome:
    """Another promotion gets between reading the pointer and writing it."""
    store = Store(MODELS, MODEL)
    real, raced = store._point, []

    def point(live: object, etag: str) -> bool:
        if not raced:
            raced.append(stage.store().promote(stage.first, by="other", why="race"))
        return real(live, etag)  # type: ignore[arg-type]

    with mock.patch.object(store, "_point", point):
        sees = _told(lambda: store.promote(stage.second, by="row", why="next"))
    lost = _missing(stage) + _unrecorded(stage, [stage.first, stage.first, stage.second])
    return Outcome(sees, lost, "both are recorded, the later one serves")


class _Shifted(datetime):
    @classmethod
    def now(cls, tz: object = None) -> "datetime":  # type: ignore[override]
        return datetime.now(UTC) + timedelta(hours=6)


def _told(act: Callable[[], object]) -> str:
    try:
        act()
    except SlipwayError as error:
        return f"{type(error).__name__}: {_short(str(error))}"
    return "done"


def _short(text: str) -> str:
    """Without what differs from run to run."""
    return " ".join(word for word in text.split() if "://" not in word)[:90].strip().rstrip(".:,") + "…"


def _missing(stage: Stage) -> int:
    """Versions that a function could not load, of the two that were published."""
    lost = 0
    for version in (stage.first, stage.second):
        into = stage.folder / "fetched" / os.urandom(4).hex()
        try:
            load_predictor(stage.store().fetch(version, None, into))
        except SlipwayError:
            lost += 1
    return lost


def _unrecorded(stage: Stage, wanted: list[str]) -> int:
    """Changes of the pointer that the ledger does not tell, in order; the pointer counts as its last entry."""
    found = [entry.version for entry in stage.store().history()]
    return abs(len(found) - len(wanted)) + sum(a != b for a, b in zip(found, wanted, strict=False))


def _live(stage: Stage) -> str:
    live = stage.store().live()
    return live.version if live else ""


def _unpublish(stage: Stage) -> None:
    prefix = f"models/{MODEL}/{stage.second}/"
    for item in stage.direct.list_objects_v2(Bucket=MODELS, Prefix=prefix)["Contents"]:
        stage.direct.delete_object(Bucket=MODELS, Key=item["Key"])


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": f"{root}/layers/runtime/python:{root}"}
