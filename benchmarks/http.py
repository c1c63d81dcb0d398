"""The deployed API over HTTP: ``cdk deploy`` into the local cloud, a client on the same machine, a connection kept."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Measure, Rounds, Sample, Skipped, middle, spread, take_turns
from benchmarks.options import Options
from benchmarks.tables import Measured, Table, milliseconds
from benchmarks.texts import Texts
from infra.local_cloud import LocalCloud, LocalCloudError, Outputs
from infra.local_cloud.ports import free_port
from slipway.artifact import read_manifest
from slipway.store import Store

Ask = Callable[[str], None]

_CLIENTS = (1, 4)
_LIVE = "the same way, no model: GET /v2/health/live"


class Caller:
    """Asks the deployed API; every thread has a connection of its own, which it keeps until ``close``."""

    def __init__(self, outputs: Outputs) -> None:
        self._address = urlsplit(outputs.api_url)
        self._model = outputs.model
        self._headers = {"x-api-key": outputs.api_key, "content-type": "application/json"}
        self._own = threading.local()
        self._made: list[HTTPConnection] = []

    def live(self, _: str = "") -> None:
        """Ask whether the process answers."""
        self._ask("GET", "/v2/health/live", None)

    def predict(self, text: str) -> None:
        """Ask for one text."""
        self._ask("POST", f"/v1/models/{self._model}:predict", json.dumps({"instances": [text]}))

    def close(self) -> None:
        """Close all connections."""
        for connection in self._made:
            connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> None:
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
            self._made.append(self._own.connection)
        self._own.connection.request(method, self._address.path + path, body, self._headers)
        response = self._own.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {content[:200]!r}")


def measure(options: Options) -> Measured:
    """Two tables: milliseconds a request, and requests a second. Raises Skipped where there is no local cloud."""
    cloud = LocalCloud(options.folder("cloud"), free_port())
    try:
        options.progress("cdk deploy into the local cloud")
        outputs = cloud.deploy({"model": read_manifest(options.artifact).model})
        _promote(cloud, outputs, options.artifact)
        with closing(Caller(outputs)) as caller:
            return _measure(options, caller)
    except LocalCloudError as error:
        raise Skipped(str(error)) from error
    finally:
        cloud.stop()


def _promote(cloud: LocalCloud, outputs: Outputs, artifact: Path) -> None:
    store = Store(outputs.model_bucket, outputs.model, cloud.client("s3"))
    store.promote(store.publish(artifact), by="benchmarks", why="measured")


def _measure(options: Options, caller: Caller) -> Measured:
    made = Texts.of(options.artifact)
    count = options.count(50, 4)
    texts = {length: made.of_length(length, count) for length in made.lengths()}
    started = time.perf_counter()
    caller.live()
    first = time.perf_counter() - started
    rows: dict[str, Measure] = {_LIVE: partial(_each, caller.live, [""] * count)}
    rows |= {f"predict, one text of {length} tokens": partial(_each, caller.predict, texts[length]) for length in texts}
    found = take_turns(rows, rounds=options.rounds, progress=options.progress)
    loads: dict[str, Measure] = {
        f"predict, {clients} at once": partial(_together, caller.predict, [*texts.values()][1], clients)
        for clients in _CLIENTS
    }
    rates = take_turns(loads, rounds=options.rounds, progress=options.progress)
    tables = [_latency(found, options, count, first), _rate(rates, options, count)]
    return Measured(tables, {name: middle(rounds) for name, rounds in found.items()})


def _each(ask: Ask, texts: Sequence[str]) -> list[Sample]:
    samples = []
    for text in texts:
        began = time.perf_counter()
        ask(text)
        samples.append(Sample(time.perf_counter() - began, 0.0))
    return samples


def _together(ask: Ask, texts: Sequence[str], clients: int) -> list[Sample]:
    """Seconds a request when ``clients`` ask at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for _ in pool.map(ask, texts):
            pass
    return [Sample((time.perf_counter() - began) / len(texts), 0.0)]


def _latency(found: dict[str, Rounds], options: Options, count: int, first: float) -> Table:
    rows = []
    for name, rounds in found.items():
        low, high = map(milliseconds, spread(rounds))
        quantiles = [milliseconds(middle(rounds, quantile=quantile)) for quantile in (0.5, 0.95)]
        rows.append([name, *quantiles, f"{low} to {high}"])
    return Table(
        title="(g) HTTP through the local cloud",
        reading=f"Milliseconds from a request to its whole answer on one connection, medians of {options.rounds} "
        f"rounds of {count}; the first row runs no model.",
        head=["", "p50", "p95", "p50 of the rounds"],
        rows=rows,
        notes=[
            f"The first request of all, which started the function's process: {milliseconds(first)} ms.",
            "The local cloud takes most of it: ministack's Runtime API sends the head and the body of an event in two "
            "packets, and the second waits 40 ms until the first is acknowledged. With TCP_NODELAY set there, a "
            "prediction took 20 ms instead of 55 (2026-11-26, a busy machine).",
        ],
    )


def _rate(found: dict[str, Rounds], options: Options, count: int) -> Table:
    rows = [[name, f"{1 / middle(rounds):.0f}"] for name, rounds in found.items()]
    return Table(
        title="(g) Requests a second through the local cloud",
        reading=f"Requests a second, client, cloud and functions together on this machine's cores, medians of "
        f"{options.rounds} rounds of {count}.",
        head=["", "requests/s"],
        rows=rows,
    )
