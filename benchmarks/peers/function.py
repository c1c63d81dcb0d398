"""The predict function's handler in a warm process, beside what it is made of: ``ARTIFACT PROFILE``.

``own`` rows leave out the seconds inside the tokenizer and inside ``session.run``: what is left is ours. The row
``profile`` writes to the file PROFILE how those seconds divide among packages.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from benchmarks.events import predict_event
from benchmarks.peers.loop import Call, Elsewhere, Prepare, serve
from benchmarks.peers.profile import write_profile
from slipway import network
from slipway.artifact import TOKENIZER, model_file, read_manifest
from slipway.encoding import Encoder
from slipway.loading import load_predictor


class Context:
    """What Lambda passes beside the event."""

    function_name = "predict"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:predict"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


class Clocked:
    """An object whose calls are counted: ``spent`` is what the last request spent in all of them."""

    spent = (0.0, 0.0)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._inner, name)
        if not callable(function):
            return function

        def clocked(*args: Any, **kwargs: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            result = function(*args, **kwargs)
            before = Clocked.spent
            Clocked.spent = (before[0] + time.perf_counter() - wall, before[1] + time.process_time() - cpu)
            return result

        self.__dict__[name] = clocked  # made once: it would count as the handler's own
        return clocked


def _load() -> Mapping[str, Prepare]:
    artifact, profile = Path(sys.argv[1]), Path(sys.argv[2])
    rows = {"bare": _bare(artifact)}
    _clock_the_libraries()
    alone = load_predictor(artifact, "int8")
    from functions.predict.handler import handler

    model = read_manifest(artifact).model

    def whole(texts: list[str]) -> Call:
        event = predict_event(model, texts)
        return lambda: _checked(handler(event, Context()))  # type: ignore[arg-type]

    def profiled(texts: list[str]) -> Call:
        return lambda: write_profile([whole([text]) for text in texts], profile)

    return rows | {
        "handler": whole,
        "handler, own": lambda texts: _own(whole(texts)),
        "predictor, own": lambda texts: _own(lambda: alone.predict(texts)),
        "profile": profiled,
    }


def _bare(artifact: Path) -> Prepare:
    """Nothing but the two libraries: text to logits."""
    tokenizer = Tokenizer.from_file(str(artifact / TOKENIZER))
    session = network.open_session(artifact / model_file("int8"))
    return lambda texts: (
        lambda: session.run(["logits"], {"input_ids": np.array([tokenizer.encode(texts[0]).ids], np.int32)})
    )


def _clock_the_libraries() -> None:
    """From now on whatever is opened tells what it spends."""
    open_session, load = network.open_session, Encoder.load

    def load_clocked(*args: Any, **kwargs: Any) -> Encoder:
        encoder = load(*args, **kwargs)
        encoder.tokenizer = Clocked(encoder.tokenizer)  # type: ignore[assignment]
        return encoder

    network.open_session = lambda *given: Clocked(open_session(*given))
    Encoder.load = load_clocked  # type: ignore[method-assign]


def _own(call: Call) -> Call:
    def timed() -> Elsewhere:
        Clocked.spent = (0.0, 0.0)
        call()
        return Elsewhere(*Clocked.spent)

    return timed


def _checked(answer: dict[str, Any]) -> None:
    if answer["statusCode"] != 200:
        raise RuntimeError(f"The handler answered {answer['statusCode']}: {answer['body'][:200]}")


if __name__ == "__main__":
    serve(_load, ["aws-lambda-powertools", "onnxruntime"])
