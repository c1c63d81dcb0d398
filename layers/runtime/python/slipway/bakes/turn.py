"""One turn of a bake: look at the pointer, judge what was counted under it, and move it, or wait.

The pointer is replaced on condition that it is the one that was judged. Whoever else promotes, rolls back or withdraws
in the meantime wins: the bake finds a pointer that it did not leave, and ends. A turn may be done twice, as Step
Functions does after a lost answer: what the first one did is found in the pointer.
"""

from slipway.bakes.plan import Bake
from slipway.bakes.records import Records
from slipway.bakes.verdict import judge
from slipway.releases import Canary, Live, new_live
from slipway.store import Store

BY = "bake"  # in the ledger


def turn(bake: Bake, store: Store, records: Records, *, now: float) -> Bake:
    """Where the bake is after it; ``now`` in seconds since 1970.

    Raises StoreError where S3 refuses, and Conflict if the pointer changes at this moment: the next turn finds out.
    """
    pointer = store.live()
    if pointer is None or not bake.holds(pointer):
        return _found_changed(bake, pointer, now)
    if pointer.at != bake.at:  # a shadow came or went, and the counts began anew
        return bake.onto(pointer, now=now)
    return _judged(bake, pointer, store, records, now)


def withdraw(store: Store, pointer: Live, *, by: str, why: str) -> Live:
    """End the canary of ``pointer``, and nothing else: a shadow answers nobody. Raises Conflict if it has changed."""
    ended = new_live(pointer.version, "withdraw", by=by, why=why, after=pointer, shadow=pointer.shadow)
    return store.replace(pointer, ended)


def _judged(bake: Bake, pointer: Live, store: Store, records: Records, now: float) -> Bake:
    verdict = judge(records.total(pointer), bake.bounds)
    elapsed = now - bake.started
    if verdict.says == "bad":
        return _withdraw(bake, pointer, store, verdict.why)
    if verdict.says == "good" and elapsed >= bake.seconds:
        return _grow(bake, pointer, store, verdict.why, now)
    if elapsed >= bake.patience:
        return _withdraw(bake, pointer, store, f"not shown to be good in {_duration(elapsed)}: {verdict.why}")
    return bake.waiting(now)


def _grow(bake: Bake, pointer: Live, store: Store, why: str, now: float) -> Bake:
    said = _signed(bake, f"at {_percent(bake.weight)} for {_duration(now - bake.started)}: {why}")
    if bake.steps:
        canary = Canary(bake.version, bake.steps[0])
        grown = new_live(bake.live, "canary", by=BY, why=said, after=pointer, canary=canary, shadow=pointer.shadow)
        return bake.onto(store.replace(pointer, grown), now=now)
    shadow = None if pointer.shadow and pointer.shadow.version == bake.version else pointer.shadow
    store.replace(pointer, new_live(bake.version, "promote", by=BY, why=said, after=pointer, shadow=shadow))
    return bake.ended("promoted", said)


def _withdraw(bake: Bake, pointer: Live, store: Store, why: str) -> Bake:
    said = _signed(bake, f"at {_percent(bake.weight)} {bake.version}: {why}")
    withdraw(store, pointer, by=BY, why=said)
    return bake.ended("withdrawn", said)


def _found_changed(bake: Bake, pointer: Live | None, now: float) -> Bake:
    """By a turn of this bake whose answer was lost, or by somebody else."""
    if pointer is None:
        return bake.ended("overtaken", "there is no live pointer any more")
    if pointer.by == BY and pointer.at > bake.at:
        if bake.steps and pointer.canary == Canary(bake.version, bake.steps[0]):
            return bake.onto(pointer, now=now)
        if pointer.action == "promote" and pointer.version == bake.version:
            return bake.ended("promoted", pointer.why)
        if pointer.action == "withdraw" and pointer.version == bake.live:
            return bake.ended("withdrawn", pointer.why)
    return bake.ended("overtaken", f"{pointer.by} changed the live pointer meanwhile: {pointer.action} {pointer.at}")


def _signed(bake: Bake, said: str) -> str:
    return f"{said} (begun by {bake.by})"


def _percent(weight: float) -> str:
    return f"{100 * weight:.4g} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
