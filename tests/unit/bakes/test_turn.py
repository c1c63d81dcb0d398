"""Turns of a bake over a real store: it grows, is promoted or withdrawn, and whoever else moves the pointer wins."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.bakes.bounds import Bounds
from slipway.bakes.plan import Bake
from slipway.bakes.records import Records
from slipway.bakes.tally import Counts
from slipway.bakes.turn import turn
from slipway.errors import Conflict, SettingsError
from slipway.releases import Canary, Live, Shadow
from slipway.store import Store
from tests.conftest import BUCKET
from tests.unit.bakes.test_verdict import tally

GOOD = Counts(live=tally(400), canary=tally(100), compared=100)
BAD = Counts(live=tally(400), canary=tally(100), compared=100, disagreements=100)
FEW = Counts(live=tally(400), canary=tally(3), compared=3)


@pytest.fixture
def versions(store: Store, tiny_artifact: Path, second_artifact: Path) -> tuple[str, str]:
    """One that is live, and a candidate."""
    live = store.publish(tiny_artifact)
    store.promote(live, by="ada", why="first")
    return live, store.publish(second_artifact)


@pytest.fixture
def records(bucket: str) -> Records:
    return Records(bucket, "demo")


@pytest.fixture
def bake(store: Store, versions: tuple[str, str]) -> Bake:
    """At its first step, 5 %, since second 0; 50 % is to come."""
    pointer = store.canary(versions[1], 0.05, by="ada", why="new labels")
    return Bake.begun(pointer, now=0, steps=(0.5,), seconds=60, patience=3_600, by="ada", bounds=Bounds())


@pytest.fixture
def count(store: Store, records: Records) -> Callable[[Counts], None]:
    """Have processes count under the present pointer."""

    def counted(counts: Counts) -> None:
        records.write(_live(store), "process", counts.to_json())

    return counted


def _live(store: Store) -> Live:
    live = store.live()
    assert live
    return live


def test_a_good_canary_grows_by_its_steps_and_is_promoted(
    store: Store, records: Records, bake: Bake, versions: tuple[str, str], count: Callable[[Counts], None]
) -> None:
    live, candidate = versions
    count(GOOD)
    bake = turn(bake, store, records, now=30)
    assert (bake.state, bake.weight, _live(store).canary) == ("going", 0.05, Canary(candidate, 0.05))
    bake = turn(bake, store, records, now=60)
    assert (bake.state, bake.weight, _live(store).canary) == ("going", 0.5, Canary(candidate, 0.5))
    bake = turn(bake, store, records, now=125)
    assert bake.state == "going"  # nothing is counted yet under the new pointer
    count(GOOD)
    bake = turn(bake, store, records, now=130)
    assert (bake.state, _live(store).version, _live(store).canary) == ("promoted", candidate, None)
    told = [(entry.action, entry.version, entry.by) for entry in store.history()[1:]]
    assert told == [("canary", live, "ada"), ("canary", live, "bake"), ("promote", candidate, "bake")]
    assert store.history()[2].why.startswith("at 5 % for 60 s: 0 of 100 requests failed")
    assert store.history()[2].why.endswith("(begun by ada)")


def test_a_bad_canary_is_withdrawn_at_once_and_the_ledger_says_why(
    store: Store, records: Records, bake: Bake, versions: tuple[str, str], count: Callable[[Counts], None]
) -> None:
    count(BAD)
    bake = turn(bake, store, records, now=1)
    now = _live(store)
    assert (bake.state, now.action, now.version, now.canary) == ("withdrawn", "withdraw", versions[0], None)
    assert f"at 5 % {versions[1]}: 100 of 100 texts got another label" in now.why
    assert store.history()[-1] == now


def test_a_shadow_is_none_of_a_bake_s_business(
    store: Store,
    records: Records,
    bake: Bake,
    versions: tuple[str, str],
    count: Callable[[Counts], None],
    tmp_path: Path,
) -> None:
    third = _another(store, versions[1])
    shadowed = store.shadow(third, 1.0, by="bob", why="")
    bake = turn(bake, store, records, now=50)
    assert (bake.state, bake.at, bake.started) == ("going", shadowed.at, 50)  # counts begin anew with the pointer
    count(BAD)
    assert turn(bake, store, records, now=51).state == "withdrawn"
    assert _live(store).shadow == Shadow(third, 1.0)


def test_with_too_few_requests_it_waits_and_then_gives_up(
    store: Store, records: Records, bake: Bake, count: Callable[[Counts], None]
) -> None:
    count(FEW)
    pauses = []
    for now in (60, 600, 3_000):
        bake = turn(bake, store, records, now=now)
        assert bake.state == "going"
        pauses.append(bake.pause)
    assert pauses == [6, 60, 300]
    assert all(type(pause) is int for pause in pauses), "Step Functions waits for whole seconds only"
    bake = turn(bake, store, records, now=3_600)
    assert bake.state == "withdrawn"
    assert "not shown to be good in 60 min: too few requests of the canary: 3, and 100 are needed" in bake.why


@pytest.mark.parametrize("deed", ["promote", "rollback", "weight"])
def test_whoever_moves_the_pointer_meanwhile_wins(
    store: Store, records: Records, bake: Bake, versions: tuple[str, str], deed: str, count: Callable[[Counts], None]
) -> None:
    count(BAD)
    if deed == "promote":
        store.promote(versions[1], by="bob", why="now")
    elif deed == "rollback":
        store.rollback(by="bob", why="no")
    else:
        store.canary(versions[1], 0.07, by="bob", why="more")
    theirs = _live(store)
    bake = turn(bake, store, records, now=60)
    assert bake.state == "overtaken"
    assert bake.why == f"bob changed the live pointer meanwhile: {theirs.action} {theirs.at}"
    assert _live(store) == theirs


@pytest.mark.parametrize("counts", [GOOD, BAD])
def test_a_pointer_that_moves_between_look_and_deed_is_not_touched(
    store: Store, records: Records, bake: Bake, versions: tuple[str, str], counts: Counts
) -> None:
    class Slow(Records):
        def total(self, pointer: Live) -> Counts:
            store.rollback(by="bob", why="at that moment")
            return counts

    with pytest.raises(Conflict):
        turn(bake, store, Slow(BUCKET, "demo"), now=60)
    assert _live(store).by == "bob"
    assert turn(bake, store, records, now=61).state == "overtaken"


def test_a_turn_whose_answer_was_lost_is_found_to_be_done(
    store: Store, records: Records, bake: Bake, versions: tuple[str, str], count: Callable[[Counts], None]
) -> None:
    count(GOOD)
    grown = turn(bake, store, records, now=60)
    assert dataclasses.replace(turn(bake, store, records, now=60), pause=grown.pause) == grown
    count(GOOD)
    promoted = turn(grown, store, records, now=130)
    assert turn(grown, store, records, now=131) == promoted
    assert [entry.action for entry in store.history()[-2:]] == ["canary", "promote"]


def test_a_lost_withdrawal_is_found_to_be_done(
    store: Store, records: Records, bake: Bake, count: Callable[[Counts], None]
) -> None:
    count(BAD)
    withdrawn = turn(bake, store, records, now=5)
    assert turn(bake, store, records, now=6) == withdrawn
    assert store.history()[-1].action == "withdraw"


def test_a_bake_travels_as_json(bake: Bake) -> None:
    assert Bake.from_dict(bake.to_dict()) == bake


@pytest.mark.parametrize(
    "change",
    [
        {"steps": (0.02,)},
        {"steps": (1.0,)},
        {"steps": (0.1, 0.2, 0.3, 0.4, 0.5)},
        {"seconds": 0.5},
        {"seconds": 50_000.0},
        {"patience": 10.0},
        {"patience": 1e9},
    ],
)
def test_a_bake_that_cannot_be_is_refused(bake: Bake, change: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        dataclasses.replace(bake, **change)  # type: ignore[arg-type]


def test_the_longest_bake_stays_under_the_events_of_an_execution(bake: Bake) -> None:
    """25,000; a look is about ten: a wait, a task and a choice."""
    longest = dataclasses.replace(bake, seconds=12 * 3_600.0, patience=48 * 3_600.0)
    now, looks = 0.0, 0
    while now < longest.patience:
        longest = longest.waiting(now)
        now, looks = now + longest.pause, looks + 1
    assert looks * 10 * 5 < 25_000


def _another(store: Store, like: str) -> str:
    """A third version: the manifest alone, which is all that the store asks for."""
    manifest = dataclasses.replace(store.manifest(like), version="", created="2020-01-01T00:00:00Z")
    store._objects.create(f"{manifest.version}/manifest.json", manifest.to_json())
    return manifest.version
