"""How many texts a second one vCPU answers when lengths differ as people's texts do: many short, a few long."""

from functools import partial

from benchmarks.measure import Rounds, middle, spread, take_turns
from benchmarks.options import Options
from benchmarks.peers.roster import OURS, SAME_SHAPE, many_texts, running
from benchmarks.tables import Measured, Table, times
from benchmarks.texts import Texts


def measure(options: Options) -> Measured:
    """One table."""
    made = Texts.of(options.artifact)
    texts = made.long_tailed(options.count(128, 16))
    with running(many_texts(), options) as (workers, notes):
        rows = {name: partial(worker.time, [texts]) for name, worker in workers.items()}
        found = take_turns(rows, rounds=options.rounds, progress=options.progress)
    mean = made.tokens(texts) / len(texts)
    table = Table(
        title="(d) Throughput on long-tailed lengths",
        reading=f"Texts a second and vCPU for {len(texts)} texts given at once, {mean:.0f} tokens in the mean "
        f"(log-normal, cut at the model's limit), medians of {options.rounds} rounds; higher is better. By the "
        "clock, and by the processor's own time, which neighbours on this machine disturb less.",
        head=["", "texts/s/vCPU", "lowest to highest", "by CPU time", f"{OURS} is"],
        rows=[_row(name, found, len(texts)) for name in found],
        notes=["Ours sorts and packs by itself; a peer gets batches in the order given.", SAME_SHAPE, *notes],
    )
    return Measured([table], {name: len(texts) / middle(rounds) / _vcpus(name) for name, rounds in found.items()})


def _row(name: str, found: dict[str, Rounds], texts: int) -> list[str]:
    fastest, slowest = spread(found[name])
    share = texts / _vcpus(name)
    rates = [share / middle(found[name]), share / slowest, share / fastest, texts / middle(found[name], cpu=True)]
    quotient = times(middle(found[name], cpu=True) / middle(found[OURS], cpu=True)) if OURS in found else ""
    now, low, high, cpu = (f"{rate:.0f}" for rate in rates)
    return [name, now, f"{low} to {high}", cpu, f"{quotient} as fast"]


def _vcpus(name: str) -> int:
    return 2 if name.endswith("two threads") else 1
