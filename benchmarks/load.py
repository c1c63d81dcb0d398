"""Callers that keep their connections and ask again as soon as they are answered: a closed loop, over bare HTTP.

``python -m benchmarks.load PORT CLIENTS SECONDS [--requests N]``, with ``{"path": …, "bodies": [document, …]}`` on
standard input, prints one JSON document. It ends after so many seconds or requests. A process of its own, so that the
server's share of the machine is not this process's; requests are written before the clock starts, and answers are not
parsed beyond their head, so that it takes little of the machine.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice


@dataclass
class Seen:
    """What all callers met. ``broken`` counts requests that were sent and not answered, ``refused`` connections."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    broken: int = 0
    refused: int = 0


async def _call(port: int, requests: Sequence[bytes], numbers: Iterator[int], end: float, seen: Seen) -> None:
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for number in numbers:  # which all callers share
        if time.monotonic() >= end:
            return
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            seen.refused += 1
            return
        began = time.perf_counter()
        try:
            status, closes = await _ask(*stream, requests[number % len(requests)])
        except (asyncio.IncompleteReadError, ConnectionError):
            seen.broken += 1
            stream = None
            continue
        seen.seconds.append(time.perf_counter() - began)
        seen.statuses[status] += 1
        if closes:
            stream[1].close()
            stream = None


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bool]:
    """The status, and whether the server wants no more on this connection."""
    writer.write(request)
    await writer.drain()
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers.get("connection") == "close"


def _request(path: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _load(port: int, clients: int, seconds: float, requests: Sequence[bytes], most: int | None) -> Seen:
    seen, end, numbers = Seen(), time.monotonic() + seconds, islice(count(), most)
    await asyncio.gather(*(_call(port, requests, numbers, end, seen) for _ in range(clients)))
    return seen


def main() -> None:
    """Print what the callers met, and in how many seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("clients", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--requests", type=int)
    told, wanted = parser.parse_args(), json.load(sys.stdin)
    requests = [_request(wanted["path"], document) for document in wanted["bodies"]]
    began = time.monotonic()
    seen = asyncio.run(_load(told.port, told.clients, told.seconds, requests, told.requests))
    sys.stdout.write(json.dumps(vars(seen) | {"took": time.monotonic() - began}))


if __name__ == "__main__":
    main()
