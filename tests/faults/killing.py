"""A canary that its process does not survive: out of memory, out of time, a fault in native code."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from slipway.bakes.records import Records
from slipway.store import Store
from tests.faults.outcomes import Outcome, summary
from tests.faults.processes import Process, ask, question, running
from tests.faults.stage import MODEL, MODELS, Seen, Stage
from tests.image.runtime_api import RuntimeApi

_TRIES = 30
_LONG = ["a good film " * 60] * 1_000  # takes long enough for somebody to see the mark


def killed_by_canary(stage: Stage) -> Outcome:
    """Killed while it asks the canary, and begun anew by Lambda in the same sandbox."""
    store = stage.store()
    store.canary(stage.second, 0.999, by="row", why="a try")
    for _ in range(_TRIES):
        with RuntimeApi() as api, running(stage, api) as process:
            _until(lambda api=api: ask(api).version == stage.second)  # type: ignore[misc]
            asking = threading.Thread(target=_ask_in_vain, args=[api], daemon=True)
            asking.start()
            _kill_while_marked(stage, process, asking)
        if _marked(stage):  # it may have been over when the signal came
            break
    else:
        raise AssertionError("never killed in the middle of an answer")
    with RuntimeApi() as api, running(stage, api):
        seen = [ask(api) for _ in range(20)]
        found = _until(lambda: _refused(store, seen.append, ask(api)))
    told = "v1 answers, and the next look at the canary withdraws it" if found else "nobody knows"
    lost = sum(each.lost or each.version != stage.first for each in seen) + (not found)
    return Outcome(f"no answer once: API Gateway says 500, with a remedy; then {summary(seen[:20], stage)}", lost, told)


def _ask_in_vain(api: RuntimeApi) -> None:
    with suppress(TimeoutError):
        api.invoke(question(_LONG), timeout=5)


def _kill_while_marked(stage: Stage, process: Process, asking: threading.Thread) -> None:
    while asking.is_alive():
        if _marked(stage):
            process.kill()
            process.wait()
            return


def _marked(stage: Stage) -> bool:
    """Whether a process is, or was when it ended, in the middle of something with the second version."""
    return any(stage.second in mark.read_text() for mark in stage.folder.glob("slipway-*/mark"))


def _refused(store: Store, note: Callable[[Seen], None], seen: Seen) -> bool:
    note(seen)
    pointer = store.live()
    return bool(pointer and Records(MODELS, MODEL).total(pointer).refused)


def _until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False
