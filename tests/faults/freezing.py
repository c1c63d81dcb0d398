"""A function's process as Lambda treats it: frozen between two requests, in the middle of what its thread was doing."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.faults.outcomes import Outcome, require_hits, summary
from tests.faults.proxy import Fault
from tests.faults.stage import MODEL, MODELS, Seen, Stage
from tests.image.runtime_api import RuntimeApi, rest_event

_ROOT = Path(__file__).parents[2]
_FROZEN = 2.5  # seconds, past the second that obstore gives a request here


def frozen(stage: Stage) -> Outcome:
    """Frozen while it downloads a version that was promoted, and thawed when the connection has long been given up."""
    stuck = Fault("trickle", r"model\.int8\.onnx\.data", times=1, seconds=2)
    with RuntimeApi() as api, _process(stage, api) as process:
        try:
            seen = [_ask(api)]
            with stage.proxy.broken(stuck):
                stage.store().promote(stage.second, by="row", why="next")
                end = time.monotonic() + 20
                while not stuck.hits and time.monotonic() < end:
                    time.sleep(0.06)
                    seen.append(_ask(api))
                require_hits([stuck])
                process.send_signal(signal.SIGSTOP)
                time.sleep(_FROZEN)
                process.send_signal(signal.SIGCONT)
                seen.append(_ask(api))
            while seen[-1].version != stage.second and time.monotonic() < end + 20:
                time.sleep(0.1)
                seen.append(_ask(api))
        finally:
            process.kill()
    back = seen[-1].version == stage.second
    told = "v2 answers" if back else "does not come back"
    return Outcome(summary(seen[:1] + seen[-1:], stage), sum(each.lost for each in seen) + (not back), told)


def _process(stage: Stage, api: RuntimeApi) -> "subprocess.Popen[bytes]":
    """The real runtime client with the real handler."""
    given = {"AWS_LAMBDA_FUNCTION_NAME": "predict", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    given |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_RUNTIME_API": api.address, "TMPDIR": str(stage.folder)}
    given |= {"SLIPWAY_MODEL": MODEL, "SLIPWAY_MODEL_BUCKET": MODELS}
    given |= {"SLIPWAY_POLL_SECONDS": "0.05", "SLIPWAY_STALE_SECONDS": "0.1"}
    given |= {"PYTHONPATH": f"{_ROOT}/layers/runtime/python:{_ROOT}"}
    command = [sys.executable, "-m", "awslambdaric", "functions.predict.handler.handler"]
    return subprocess.Popen(
        command, env={**os.environ, **given}, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _ask(api: RuntimeApi) -> Seen:
    event = rest_event("POST", f"/v1/models/{MODEL}:predict", {"instances": ["a good film", "a bad film"]})
    event["requestContext"]["requestId"] = str(uuid.uuid4())
    began = time.perf_counter()
    answer = api.invoke(event)
    return Seen(answer["statusCode"], time.perf_counter() - began, json.loads(answer["body"]))
