"""How long one text takes in a warm process: ours beside its peers, one thread, texts of 8, 32 and 128 tokens."""

from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.measure import Rounds, middle, ratio, spread, take_turns
from benchmarks.options import Options
from benchmarks.peers.roster import OURS, SAME_SHAPE, running, single_texts
from benchmarks.peers.worker import Worker
from benchmarks.tables import Measured, Table, milliseconds, times
from benchmarks.texts import Texts


def measure(options: Options) -> Measured:
    """One table; the numbers are the medians at the middle length, by row."""
    texts = Texts.of(options.artifact)
    calls = {length: texts.of_length(length, options.count(100, 4)) for length in texts.lengths()}
    shown = middle_length(texts.lengths())
    with running(single_texts(), options) as (workers, notes):
        rows = {
            (name, length): partial(worker.time, [[text] for text in calls[length]])
            for name, worker in workers.items()
            for length in calls
        }
        flat = {f"{name} · {length} tokens": row for (name, length), row in rows.items()}
        measured = take_turns(flat, rounds=options.rounds, progress=options.progress)
        versions = _versions(workers)
    found = dict(zip(rows, measured.values(), strict=True))
    table = Table(
        title="(a) Warm latency, one text at a time, one thread",
        reading="Milliseconds from a text to its probabilities, tokenizing included, p50 and p99 of "
        f"{len(calls[shown])} texts of each length, medians of {options.rounds} rounds in which all rows take turns; "
        f"lower is better. The last two columns compare texts of {shown} tokens with {OURS}.",
        head=_head(list(calls), shown),
        rows=[_row(name, found, list(calls), shown) for name in workers],
        notes=[SAME_SHAPE, f"Versions: {versions}.", *notes],
    )
    return Measured([table], {name: middle(found[name, shown]) for name in workers})


def middle_length(lengths: Sequence[int]) -> int:
    """The length that is compared and plotted.

    >>> middle_length([8, 32, 128])
    32
    """
    return lengths[len(lengths) // 2]


def _head(lengths: list[int], shown: int) -> list[str]:
    quantiles = [f"{length}: {name}" for length in lengths for name in ("p50", "p99")]
    return ["tokens", *quantiles, f"{shown}: p50 of the rounds", f"{shown}: CPU p50", "wall / ours", "CPU / ours"]


def _row(name: str, found: Mapping[tuple[str, int], Rounds], lengths: list[int], shown: int) -> list[str]:
    cells = [milliseconds(middle(found[name, length], quantile=q)) for length in lengths for q in (0.5, 0.99)]
    own, base = found[name, shown], found.get((OURS, shown))
    lowest, highest = map(milliseconds, spread(own))
    quotients = [times(ratio(own, base, cpu=cpu)) if base else "" for cpu in (False, True)]
    return [name, *cells, f"{lowest} to {highest}", milliseconds(middle(own, cpu=True)), *quotients]


def _versions(workers: Mapping[str, Worker]) -> str:
    named = {version for worker in workers.values() for version in worker.versions}
    return ", ".join(sorted(named))
