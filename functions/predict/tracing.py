"""X-Ray subsegments of a request: where its time went, below the segment that Lambda itself sends.

Not by AWS's SDK, whose import takes longer than the requests that it would trace. The daemon beside a function takes
a datagram of JSON a subsegment, and only for requests that were sampled: the others cost a look at the environment.
Nothing here raises, waits or is tried again: a trace that is lost is no request that is lost.
"""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from socket import socket

_HEADER = b'{"format":"json","version":1}\n'
_LEAST = 1e-3  # seconds: a shorter wait for the store is none


class Stage(NamedTuple):
    """A part of a request; ``began`` and ``ended`` are of ``time.perf_counter``."""

    name: str
    began: float
    ended: float


def send(stages: Sequence[Stage]) -> None:
    """Send the stages of the request that is under way, if it is sampled."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    if "Sampled=1" not in header or not (address := os.environ.get("AWS_XRAY_DAEMON_ADDRESS")):
        return
    with suppress(OSError, ValueError, KeyError, OverflowError):
        fields = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
        host, _, port = address.rpartition(":")
        since = time.time() - time.perf_counter()
        for stage in stages:
            if stage.name == "store" and stage.ended - stage.began < _LEAST:
                continue
            document = _document(stage, fields["Root"], fields["Parent"], since)
            _socket().sendto(_HEADER + document, (host, int(port)))


def _document(stage: Stage, trace: str, parent: str, since: float) -> bytes:
    return json.dumps(
        {
            "name": stage.name,
            "id": os.urandom(8).hex(),
            "trace_id": trace,
            "parent_id": parent,
            "type": "subsegment",
            "start_time": since + stage.began,
            "end_time": since + stage.ended,
        }
    ).encode()


@cache
def _socket() -> "socket":
    """Made at the first sampled request: none is in a SnapStart snapshot."""
    import socket

    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
