"""Ours, from nothing to the first answer, part by part: ``predictor RESULT ARTIFACT TEXT`` or ``function RESULT``.

What serving calls is wrapped from outside: nothing in it knows that it is measured. RESULT gets the parts as JSON.
"""
# ruff: noqa: E402  as in predictor.py

import gc

gc.disable()

import json
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.starts import STARTED, first_answer
from benchmarks.starts.stopwatch import Stopwatch

INTERPRETER, IMPORTS, LOADING = "interpreter", "imports", "loading, what is not below"
POINTER, FETCH, VERIFY = "store: the pointer", "store: the files", "manifest and checksums"
TOKENIZER, SESSION, GOLDEN, FIRST = "tokenizer", "session", "golden examples again", "first answer"
PARTS = (INTERPRETER, IMPORTS, POINTER, FETCH, LOADING, VERIFY, TOKENIZER, SESSION, GOLDEN, FIRST)

watch = Stopwatch()


def _watch_loading() -> None:
    from slipway import loading, network, predictor
    from slipway.encoding import Encoder

    own = {"load_predictor": LOADING, "read_manifest": VERIFY, "verify_files": VERIFY}
    for name, part in own.items():
        watch.wrap(loading, name, part)
    watch.wrap(network, "open_session", SESSION)
    watch.wrap(Encoder, "load", TOKENIZER)
    watch.wrap(predictor.Predictor, "replay_golden", GOLDEN)


def _write(result: Path) -> None:
    result.write_text(json.dumps(watch.parts))


def trace_predictor(result: Path, artifact: Path, text: str) -> None:
    """The predictor alone."""
    with watch.part(IMPORTS):
        _watch_loading()
    from slipway import loading

    loaded = loading.load_predictor(artifact, "int8", replay_tokens=loading.REPLAY_TOKENS)
    with watch.part(FIRST):
        loaded.predict([text])
    _write(result)
    first_answer()


def trace_function(result: Path) -> None:
    """The handler as awslambdaric runs it."""
    with watch.part(IMPORTS):
        from slipway.store import Store
        from slipway.versions import Versions

        _watch_loading()
        watch.wrap(Store, "live", POINTER)
        watch.wrap(Versions, "fetch", FETCH)
        from functions.predict import handler as module

    answer = module.handler

    def handler(event: dict[str, Any], context: Any) -> Any:
        with watch.part(FIRST):
            answered = answer(event, context)
        _write(result)
        return answered

    module.handler = handler
    sys.argv = ["awslambdaric", "functions.predict.handler.handler"]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    watch.add(INTERPRETER, time.monotonic() - float(os.environ[STARTED]), time.process_time())
    if sys.argv[1] == "predictor":
        trace_predictor(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        trace_function(Path(sys.argv[2]))
