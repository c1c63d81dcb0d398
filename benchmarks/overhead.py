"""What our code adds to the two libraries: the handler's milliseconds beyond its tokenizer and ``session.run``."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from benchmarks import model_bucket
from benchmarks.events import function_environment
from benchmarks.measure import Rounds, middle, spread, take_turns
from benchmarks.options import Options
from benchmarks.peers.roster import main_peer
from benchmarks.peers.worker import Worker
from benchmarks.tables import Measured, Table, milliseconds
from benchmarks.texts import Texts

_BUCKET = "overhead"
_ROWS = {
    "handler": "handler: event to answer",
    "bare": "bare: tokenizer and session.run",
    "handler, own": "handler beyond the two",
    "predictor, own": "of it, the predictor",
}
_SHOWN = 14


def measure(options: Options) -> Measured:
    """Two tables: the overhead, and which packages it is spent in."""
    folder = options.folder("overhead")
    profile = folder / "profile.json"
    model = model_bucket.fill(folder / "s3", _BUCKET, options.artifact)
    texts = Texts.of(options.artifact)
    length = texts.lengths()[len(texts.lengths()) // 2]
    calls = [[text] for text in texts.of_length(length, options.count(200, 5))]
    with model_bucket.serving(folder / "s3") as s3:
        variables = function_environment(model, _BUCKET, s3)
        peer = replace(main_peer("function", options.artifact, profile), name="function", variables=variables)
        with Worker(peer, options.folder("logs")) as worker:
            rows = {name: partial(worker.time, calls, name) for name in _ROWS}
            found = take_turns(rows, rounds=options.rounds, progress=options.progress)
            worker.time([[text for (text,) in calls]], "profile")
    shares = json.loads(profile.read_text())
    tables = [_overhead(found, length, len(calls), options), _by_package(shares)]
    return Measured(tables, {name: middle(rounds) for name, rounds in found.items()})


def _overhead(found: Mapping[str, Rounds], length: int, calls: int, options: Options) -> Table:
    rows = []
    for name, title in _ROWS.items():
        lowest, highest = spread(found[name])
        quantiles = [milliseconds(middle(found[name], quantile=quantile)) for quantile in (0.5, 0.99)]
        cpu = milliseconds(middle(found[name], cpu=True))
        rows.append([title, *quantiles, cpu, f"{milliseconds(lowest)} to {milliseconds(highest)}"])
    return Table(
        title="(c) What the handler adds",
        reading=f"Milliseconds for one text of {length} tokens in a warm process, medians of {options.rounds} "
        f"rounds of {calls}; the last two rows leave out, call by call, what the tokenizer and session.run took. "
        "The log and the metrics go to a file.",
        head=["", "p50", "p99", "CPU p50", "p50 of the rounds"],
        rows=rows,
    )


def _by_package(shares: Mapping[str, float]) -> Table:
    longest = sorted(shares, key=shares.__getitem__, reverse=True)
    rows = [[name, f"{100 * shares[name]:.1f} %"] for name in longest[:_SHOWN]]
    rows.append(["the others", f"{100 * sum(shares[name] for name in longest[_SHOWN:]):.1f} %"])
    return Table(
        title="(c) Where the handler's own time goes",
        reading="Shares of the handler's time outside of the tokenizer and session.run by package, with the built-in "
        "functions that it calls; cProfile counts, which slows Python code and so overstates it.",
        head=["package", "share"],
        rows=rows,
    )
