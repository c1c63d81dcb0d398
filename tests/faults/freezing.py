"""A function's process that Lambda freezes between two requests, in the middle of what its thread was doing."""

import signal
import time

from tests.faults.outcomes import Outcome, require_hits, summary
from tests.faults.processes import ask, running
from tests.faults.proxy import Fault
from tests.faults.stage import Stage
from tests.image.runtime_api import RuntimeApi

_FROZEN = 2.5  # seconds, past the second that obstore gives a request here


def frozen(stage: Stage) -> Outcome:
    """Frozen while it downloads a version that was promoted, and thawed when the connection has long been given up."""
    stuck = Fault("trickle", r"model\.int8\.onnx\.data", times=1, seconds=2)
    with RuntimeApi() as api, running(stage, api) as process:
        seen = [ask(api)]
        with stage.proxy.broken(stuck):
            stage.store().promote(stage.second, by="row", why="next")
            end = time.monotonic() + 20
            while not stuck.hits and time.monotonic() < end:
                time.sleep(0.06)
                seen.append(ask(api))
            require_hits([stuck])
            process.send_signal(signal.SIGSTOP)
            time.sleep(_FROZEN)
            process.send_signal(signal.SIGCONT)
            seen.append(ask(api))
        while seen[-1].version != stage.second and time.monotonic() < end + 20:
            time.sleep(0.1)
            seen.append(ask(api))
    back = seen[-1].version == stage.second
    told = "v2 answers" if back else "does not come back"
    return Outcome(summary(seen[:1] + seen[-1:], stage), sum(each.lost for each in seen) + (not back), told)
