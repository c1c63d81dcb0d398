"""The endpoint's server beside Triton and LitServe: one model, the same texts, 1, 32 and 128 clients, in turns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.asking import open_inference
from benchmarks.callers import load
from benchmarks.measure import Skipped, rotated
from benchmarks.options import Options
from benchmarks.servers import Server, litserve, ours, triton
from benchmarks.tables import Table, milliseconds, times
from slipway.artifact import read_manifest

OURS = "slipway"
CLIENTS = (1, 32, 128)
_DELAYS_MS = (0, 2)  # of Triton's batcher: none, which is its default, and what lets batches fill
_WAIT_MS = 5  # of LitServe's batches; without any its workers never sleep
_HEAD = ("clients, server", "requests/s", "p50 ms", "p99 ms", "texts a batch", "not answered 200")
_AGAINST = ("requests/s to Triton's", "p99 to Triton's")
_NOTES = (
    "All encode, pack and classify by slipway's own predictor, two batches at once on a thread each: servers are "
    "compared, not models. Ours and Triton are sent the same bytes, V2's; LitServe is sent its own form.",
    "Triton (pytriton) has two instances over one session and batches of up to 32, LitServe two workers with a session "
    "each and the same limit. Ratios are to the row of Triton with the most requests/s.",
)
_SAME = 1e-3  # of a probability: numpy differs between the environments, the model and onnxruntime do not
_COMPARED = 16  # texts

Starts = Mapping[str, Callable[[], AbstractContextManager[Server]]]


class Cell(NamedTuple):
    """One server under so many clients in one round: answers a second, seconds, texts a batch, requests lost."""

    rate: float
    p50: float
    p99: float
    batch: float
    failed: int


Rounds = Mapping[str, Sequence[Cell]]


def measure(options: Options, artifact: Path, texts: Sequence[str]) -> Table:
    """A row for each number of clients and server; a server that cannot be had is a note."""
    manifest = read_manifest(artifact)
    rounds, seconds = options.count(7, 1), options.count(6, 1)
    with _running(_starts(options, artifact), options, texts[:_COMPARED]) as (servers, notes):
        rows: list[list[str]] = []
        for clients in CLIENTS:
            rows += _rows(clients, _in_turns(servers, clients, rounds, seconds, texts, options))
    return Table(
        title="(k) The endpoint's server beside Triton and LitServe",
        reading=f"The same texts to the same artifact on the CPU, one text a request, in JSON over HTTP; medians of "
        f"{rounds} rounds of {seconds} s, in which the servers take turns and those that wait stand still.",
        head=[*_HEAD, *_AGAINST],
        rows=rows,
        notes=[
            f"The model is {manifest.model} {manifest.version}, {manifest.serve}.",
            *_NOTES,
            *notes,
        ],
    )


def _starts(options: Options, artifact: Path) -> Starts:
    dialect = open_inference(read_manifest(artifact).model)
    return {
        OURS: lambda: ours(artifact, options.folder("logs"), dialect),
        **{f"Triton, delay {delay} ms": partial(triton, options, artifact, delay) for delay in _DELAYS_MS},
        "LitServe": lambda: litserve(options, artifact, _WAIT_MS),
    }


@contextmanager
def _running(
    starts: Starts, options: Options, texts: Sequence[str]
) -> Iterator[tuple[Mapping[str, Server], Sequence[str]]]:
    """Those that can be had and answer as ours does, at rest, and a note on each other one."""
    servers: dict[str, Server] = {}
    expected: list[list[float]] = []
    notes = []
    with ExitStack() as stack:
        for name, start in starts.items():
            options.progress(f"starting {name}")
            try:
                server = stack.enter_context(start())
                expected = expected or [server.scores(text) for text in texts]
                _check(server, texts, expected)
            except Skipped as reason:
                if name == OURS:
                    raise
                notes.append(f"Not measured: {name}: {reason}")
                continue
            server.rest()
            servers[name] = server
        yield servers, notes


def _check(server: Server, texts: Sequence[str], expected: Sequence[Sequence[float]]) -> None:
    """Raises Skipped for a server that does other work than ours, by its answers."""
    for text, scores in zip(texts, expected, strict=True):
        found = server.scores(text)
        if len(found) != len(scores) or any(abs(a - b) > _SAME for a, b in zip(found, scores, strict=True)):
            raise Skipped(f"it answers {found} where ours answers {scores}")


def _in_turns(
    servers: Mapping[str, Server], clients: int, rounds: int, seconds: float, texts: Sequence[str], options: Options
) -> Rounds:
    """Cells by server. The first round, a short one, warms up and does not count."""
    measured: dict[str, list[Cell]] = {name: [] for name in servers}
    for number in range(rounds + 1):
        for name in rotated([*servers], number):
            options.progress(f"{clients} clients, round {number} of {rounds}: {name}")
            cell = _cell(servers[name], clients, seconds if number else min(2.0, seconds), texts)
            if number:
                measured[name].append(cell)
    return measured


def _cell(server: Server, clients: int, seconds: float, texts: Sequence[str]) -> Cell:
    server.wake()
    before = server.batches()
    met = load(server, clients, seconds, texts)
    after = server.batches()
    server.rest()
    batch = (after.texts - before.texts) / max(1, after.runs - before.runs)
    return Cell(met.rate, met.quantile(0.5), met.quantile(0.99), batch, met.failed)


def _rows(clients: int, measured: Rounds) -> Iterator[list[str]]:
    base = max(
        (cells for name, cells in measured.items() if name.startswith("Triton")),
        key=lambda cells: median(cell.rate for cell in cells),
        default=None,
    )
    for name, cells in measured.items():
        yield [
            f"{clients}, {name}",
            f"{median(cell.rate for cell in cells):,.0f}",
            milliseconds(median(cell.p50 for cell in cells)),
            milliseconds(median(cell.p99 for cell in cells)),
            f"{median(cell.batch for cell in cells):.1f}",
            str(sum(cell.failed for cell in cells)),
            *(_against(cells, base) if base else ("", "")),
        ]


def _against(cells: Sequence[Cell], base: Sequence[Cell]) -> tuple[str, str]:
    """Medians over the rounds of the quotients of the same round."""
    pairs = [*zip(cells, base, strict=True)]
    rate = median(one.rate / other.rate for one, other in pairs)
    return times(rate), times(median(one.p99 / other.p99 for one, other in pairs))
