"""A function's process as Lambda treats it: the real runtime client with the real handler, asked through its API."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.stage import MODEL, MODELS, Seen, Stage
from tests.image.runtime_api import Json, RuntimeApi, rest_event

Process = subprocess.Popen[bytes]
_ROOT = Path(__file__).parents[2]


@contextmanager
def running(stage: Stage, api: RuntimeApi) -> Iterator[Process]:
    """A process in the stage's sandbox; killed at the end, if it is not dead by then."""
    given = {"AWS_LAMBDA_FUNCTION_NAME": "predict", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    given |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_RUNTIME_API": api.address, "TMPDIR": str(stage.folder)}
    given |= {"SLIPWAY_MODEL": MODEL, "SLIPWAY_MODEL_BUCKET": MODELS}
    given |= {"SLIPWAY_POLL_SECONDS": "0.05", "SLIPWAY_STALE_SECONDS": "0.1"}
    given |= {"PYTHONPATH": f"{_ROOT}/layers/runtime/python:{_ROOT}"}
    command = [sys.executable, "-m", "awslambdaric", "functions.predict.handler.handler"]
    with subprocess.Popen(
        command, env={**os.environ, **given}, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def question(texts: Sequence[str] = ("a good film", "a bad film")) -> Json:
    """An event of API Gateway, with an id of its own."""
    event = rest_event("POST", f"/v1/models/{MODEL}:predict", {"instances": [*texts]})
    event["requestContext"]["requestId"] = str(uuid.uuid4())
    return event


def ask(api: RuntimeApi) -> Seen:
    """One call for two texts."""
    began = time.perf_counter()
    answer = api.invoke(question())
    return Seen(answer["statusCode"], time.perf_counter() - began, json.loads(answer["body"]))
