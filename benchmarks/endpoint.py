"""The endpoint's server on this machine's CPU: beside Triton and LitServe, under load, to its end, and its memory."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import memory, side_by_side
from benchmarks.asking import invocations
from benchmarks.callers import callers, load, met
from benchmarks.options import Options
from benchmarks.servers import Server, ours
from benchmarks.side_by_side import CLIENTS
from benchmarks.tables import Measured, Table, milliseconds
from benchmarks.texts import Texts
from slipway.artifact import read_manifest

_SECONDS = {1: 15, 32: 15, 128: 120}  # by clients
_TEXTS = 512
_BEFORE_THE_END = 3.0  # seconds of load before SIGTERM
_END_SECONDS = 35  # SageMaker kills after 30


def measure(options: Options) -> Measured:
    """Four tables; about twenty minutes beside the peers' installation."""
    artifact = options.small or options.artifact
    texts = Texts.of(artifact).long_tailed(_TEXTS)
    beside = side_by_side.measure(options, artifact, texts)
    with ours(artifact, options.folder("logs"), invocations()) as server:
        loaded = _loaded(options, artifact, server, texts)
        options.progress("SIGTERM under load")
        ended = _ended(server, texts)
    return Measured([beside, loaded, ended, memory.measure(options, artifact, texts)])


def _loaded(options: Options, artifact: Path, server: Server, texts: Sequence[str]) -> Table:
    rows = []
    for clients, full in _SECONDS.items():
        seconds = options.count(full, 2)
        options.progress(f"{clients} clients for {seconds} s")
        rows.append(_row(clients, server, texts, seconds))
    manifest = read_manifest(artifact)
    return Table(
        title="(k) The endpoint's server under load",
        reading="Callers on loopback that ask again as soon as they are answered, in a process of their own on this "
        "machine, on SageMaker's path. Texts of long-tailed lengths.",
        head=[
            "clients",
            "seconds",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "texts a batch",
            "not answered 200",
            "MB resident",
        ],
        rows=rows,
        notes=[f"The model is {manifest.model} {manifest.version}, {manifest.serve}, on the CPU; one text a request."],
    )


def _row(clients: int, server: Server, texts: Sequence[str], seconds: float) -> list[str]:
    before = server.batches()
    seen = load(server, clients, seconds, texts)
    after = server.batches()
    return [
        str(clients),
        str(seconds),
        f"{seen.rate:,.0f}",
        milliseconds(seen.quantile(0.5)),
        milliseconds(seen.quantile(0.99)),
        f"{(after.texts - before.texts) / max(1, after.runs - before.runs):.1f}",
        str(seen.failed),
        f"{server.resident_mb():.0f}",
    ]


def _ended(server: Server, texts: Sequence[str]) -> Table:
    with callers(server, max(CLIENTS), 60, texts) as started:
        time.sleep(_BEFORE_THE_END)
        server.process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        code = server.process.wait(_END_SECONDS)
        took = time.perf_counter() - began
        seen = met(started)
    return Table(
        title=f"(k) SIGTERM under {max(CLIENTS)} clients",
        reading="Every accepted request is to be answered, and the process to end by itself within 30 s.",
        head=["exit code", "seconds", "answered 200", "answered otherwise", "broken off"],
        rows=[[str(code), f"{took:.1f}", f"{seen.good:,}", str(seen.otherwise), str(seen.broken)]],
    )
