"""The endpoint's server under 128 clients for 200,000 requests: does its memory grow?"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.asking import invocations
from benchmarks.callers import load_requests
from benchmarks.options import Options
from benchmarks.servers import ours
from benchmarks.tables import Table, milliseconds

_CLIENTS = 128
_SLICES = 10


def measure(options: Options, artifact: Path, texts: Sequence[str]) -> Table:
    """A row after warming up, and one after each slice."""
    size = options.count(20_000, 300)
    rows = []
    with ours(artifact, options.folder("logs"), invocations()) as server:
        load_requests(server, _CLIENTS, size // 2, texts)
        warm = server.resident_mb()
        rows.append(["0", f"{warm:.1f}", "", "", "", ""])
        for number in range(1, options.count(_SLICES, 2) + 1):
            options.progress(f"memory, {number * size:,} requests")
            met = load_requests(server, _CLIENTS, size, texts)
            now = server.resident_mb()
            growth, p99 = f"{(now / warm - 1) * 100:+.1f} %", milliseconds(met.quantile(0.99))
            rows.append([f"{number * size:,}", f"{now:.1f}", growth, f"{met.rate:,.0f}", p99, str(met.failed)])
    return Table(
        title=f"(k) Memory of the endpoint's server over {options.count(_SLICES, 2) * size:,} requests",
        reading=f"{_CLIENTS} clients; resident megabytes (2^20 bytes), from a server that has answered {size // 2:,} "
        "requests already.",
        head=["requests", "MB resident", "growth", "requests/s", "p99 ms", "not answered 200"],
        rows=rows,
    )
