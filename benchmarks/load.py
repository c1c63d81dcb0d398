"""Callers that keep their connections and ask again as soon as they are answered: a closed loop, over bare HTTP.

``python -m benchmarks.load PORT CLIENTS SECONDS``, with one JSON text a line on standard input, prints one JSON
document. A process of its own, so that the server's share of the machine is not this process's.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

PATH = "/invocations"


@dataclass
class Seen:
    """What all callers met. ``broken`` counts requests that were sent and not answered, ``refused`` connections."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    broken: int = 0
    refused: int = 0


async def _call(port: int, texts: Sequence[str], first: int, end: float, seen: Seen) -> None:
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for number in count(first):
        if time.monotonic() >= end:
            return
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            seen.refused += 1
            return
        began = time.perf_counter()
        try:
            status, closes = await _ask(*stream, texts[number % len(texts)])
        except (asyncio.IncompleteReadError, ConnectionError):
            seen.broken += 1
            stream = None
            continue
        seen.seconds.append(time.perf_counter() - began)
        seen.statuses[status] += 1
        if closes:
            stream[1].close()
            stream = None


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> tuple[int, bool]:
    """The status, and whether the server wants no more on this connection."""
    body = json.dumps({"instances": [text]}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    await reader.readexactly(int(headers["content-length"]))
    return int(status.split()[1]), headers.get("connection") == "close"


async def _load(port: int, clients: int, seconds: float, texts: Sequence[str]) -> Seen:
    seen, end = Seen(), time.monotonic() + seconds
    await asyncio.gather(*(_call(port, texts, first, end, seen) for first in range(clients)))
    return seen


def main(port: int, clients: int, seconds: float) -> None:
    """Print what the callers met."""
    texts = [json.loads(line) for line in sys.stdin]
    sys.stdout.write(json.dumps(vars(asyncio.run(_load(port, clients, seconds, texts)))))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
