"""What a row of the matrix found."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.faults.proxy import Fault
from tests.faults.stage import Seen, Stage


@dataclass(frozen=True)
class Outcome:
    """``sees`` is what the caller saw while it lasted, ``after`` what was so when it was over, in words.

    ``lost`` counts requests without a right answer or a clear refusal, rows missing or doubled, versions and ledger
    entries that are not there, and one for a service that did not come back by itself.
    """

    sees: str
    lost: int
    after: str


@dataclass(frozen=True)
class Row:
    """``where`` is the part of the system, ``what`` the fault; ``run`` breaks it for real."""

    where: str
    what: str
    run: Callable[[Stage], Outcome]


def summary(seen: Sequence[Seen], stage: Stage | None = None) -> str:
    """Statuses, versions and the slowest: 200 five times, and under 1 s."""
    names = {stage.first: "v1", stage.second: "v2"} if stage else {}
    counted = Counter(f"{each.status}{' by ' + names[each.version] if each.version in names else ''}" for each in seen)
    told = ", ".join(f"{what} \u00d7 {count}" for what, count in counted.items())
    return f"{told}; {within(max(each.seconds for each in seen))}"


def within(seconds: float) -> str:
    """The bound that a time is in: what is measured differs from run to run, and its class does not."""
    bound = next((bound for bound in (1, 3, 10, 29) if seconds < bound), 0)
    return f"under {bound} s" if bound else f"{seconds:.0f} s"


def arranged(faults: Sequence[Fault], stage: Stage) -> list[Fault]:
    """The faults for one run, with nothing counted yet; ``V2`` in a path is the second version."""
    return [replace(fault, path=fault.path.replace("V2", stage.second)) for fault in faults]


def require_hits(faults: Sequence[Fault]) -> None:
    """A fault that nothing met proves nothing."""
    missed = [fault for fault in faults if not fault.hits]
    if missed:
        raise AssertionError(f"nothing met {missed}")
