"""How long one text takes in a warm process: ours beside its peers, one thread, by length and for real sentences."""

from collections.abc import Mapping
from functools import partial
from statistics import median

from benchmarks.measure import Rounds, middle, ratio, spread, take_turns
from benchmarks.options import Options
from benchmarks.peers.roster import OURS, SAME_SHAPE, SMALL, running, single_texts
from benchmarks.peers.worker import Worker
from benchmarks.sentences import split_sentences
from benchmarks.tables import Measured, Table, milliseconds, times
from benchmarks.texts import Texts

_SENTENCES = "sentences"


def measure(options: Options) -> Measured:
    """One table; the numbers are the medians for sentences, by row."""
    texts = Texts.of(options.artifact)
    count = options.count(100, 4)
    calls = {str(length): texts.of_length(length, count) for length in texts.lengths()}
    calls[_SENTENCES] = split_sentences(options)[0][:count]
    with running(single_texts(), options) as (workers, notes):
        rows = {
            (name, kind): partial(worker.time, [[text] for text in calls[kind]])
            for name, worker in workers.items()
            for kind in calls
        }
        flat = {f"{name} · {kind}": row for (name, kind), row in rows.items()}
        measured = take_turns(flat, rounds=options.rounds, progress=options.progress)
        versions = _versions(workers)
    found = dict(zip(rows, measured.values(), strict=True))
    tokens = median(texts.tokens([text]) for text in calls[_SENTENCES])
    table = Table(
        title="(a) Warm latency, one text at a time, one thread",
        reading="Milliseconds from a text to its probabilities, tokenizing included, p50 and p99 of "
        f"{count} texts of so many tokens, and of the first {count} sentences of the test split, {tokens:g} tokens in "
        f"the median; medians of {options.rounds} rounds in which all rows take turns; lower is better. The last "
        "columns compare sentences.",
        head=_head(list(calls)),
        rows=[_row(name, found, list(calls)) for name in workers],
        notes=[SAME_SHAPE, f"Versions: {versions}.", *notes],
    )
    return Measured([table], {name: middle(found[name, _SENTENCES]) for name in workers})


def _head(kinds: list[str]) -> list[str]:
    quantiles = [f"{kind}: {name}" for kind in kinds for name in ("p50", "p99")]
    return ["tokens", *quantiles, "p50 of the rounds", "/ 6 layers", "/ 3 layers"]


def _row(name: str, found: Mapping[tuple[str, str], Rounds], kinds: list[str]) -> list[str]:
    cells = [milliseconds(middle(found[name, kind], quantile=q)) for kind in kinds for q in (0.5, 0.99)]
    own = found[name, _SENTENCES]
    lowest, highest = map(milliseconds, spread(own))
    bases = [found.get((base, _SENTENCES)) for base in (OURS, SMALL)]
    return [name, *cells, f"{lowest} to {highest}", *(times(ratio(own, base)) if base else "" for base in bases)]


def _versions(workers: Mapping[str, Worker]) -> str:
    named = {version for worker in workers.values() for version in worker.versions}
    return ", ".join(sorted(named))
