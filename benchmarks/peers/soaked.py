"""The predict function's handler in a process that answers for a long time: ``MODEL``, which its environment names.

What it logs goes to standard error, as all that a peer prints.
"""

import sys
from typing import Any

from benchmarks.events import predict_event
from benchmarks.peers.function import Context
from benchmarks.peers.loop import Call, Prepare, serve


def _load() -> dict[str, Prepare]:
    from functions.predict.handler import handler

    def prepare(texts: list[str]) -> Call:
        event = predict_event(sys.argv[1], texts)
        return lambda: _checked(handler(event, Context()))  # type: ignore[arg-type]

    return {"": prepare}


def _checked(answer: dict[str, Any]) -> None:
    if answer["statusCode"] != 200:
        sys.stderr.write(f"FAILED {answer['statusCode']}: {answer['body'][:200]}\n")


if __name__ == "__main__":
    serve(_load)
