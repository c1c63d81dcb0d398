"""The live pointer as bytes, the time it carries, and the rule of rollback."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.artifact import VERSION
from slipway.errors import StoreError
from slipway.releases import Action, Live, new_live, release_stack

A, B, C = (f"2026112{day}T120000Z-{'abc'[day] * 12}" for day in range(3))
AT = "2026-11-23T12:00:00.000000Z"


def _live(version: str = A, action: Action = "promote", at: str = AT) -> Live:
    return Live(version=version, action=action, by="ada", at=at, why="because")


def _versions(*steps: str) -> list[str]:
    """The stack after steps such as ``A`` (a promotion) or ``<A`` (a rollback to it)."""
    return release_stack([_live(s.lstrip("<"), "rollback" if s.startswith("<") else "promote") for s in steps])


@given(by=st.text(), why=st.text(), weight=st.floats(0, 1), shadow=st.none() | st.just(B))
def test_a_pointer_survives_the_round_trip(by: str, why: str, weight: float, shadow: str | None) -> None:
    live = Live(
        version=A, action="promote", by=by, at=AT, why=why, canary={"version": B, "weight": weight}, shadow=shadow
    )
    assert Live.from_json(live.to_json(), source="memory") == live


def test_a_field_of_a_later_release_is_ignored() -> None:
    content = {**json.loads(_live().to_json()), "added_later": 1}
    assert Live.from_json(json.dumps(content).encode(), source="memory") == _live()


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"5", b'"version"', b"{}", b'{"version": "x"}', b"\xff", b"[" * 100_000],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_pointer_is_a_store_error_that_names_it(raw: bytes) -> None:
    with pytest.raises(StoreError, match=r"^s3://bucket/live\.json is not a readable release record"):
        Live.from_json(raw, source="s3://bucket/live.json")


@pytest.mark.parametrize("change", [{"version": 5}, {"version": None}, {"at": "yesterday"}, {"at": 0}], ids=str)
def test_a_pointer_that_was_edited_by_hand_is_a_store_error(change: dict[str, Any]) -> None:
    raw = json.dumps({**json.loads(_live().to_json()), **change}).encode()
    with pytest.raises(StoreError, match=r"live\.json"):
        Live.from_json(raw, source="live.json")


def test_a_ledger_entry_is_named_after_its_time_and_version() -> None:
    assert _live(at="2026-11-23T04:05:06.000007Z").ledger_name() == f"20261123T040506.000007Z-{A}.json"


@given(st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), min_size=2, max_size=5))
def test_names_sort_as_their_times_do(times: list[datetime]) -> None:
    names = [_live(at=time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).ledger_name() for time in sorted(times)]
    assert names == sorted(names)


def test_a_new_pointer_carries_what_it_was_given_and_the_present_time() -> None:
    before = datetime.now(UTC)
    live = new_live(A, "promote", by="ada", why="first", after=None)
    assert (live.version, live.action, live.by, live.why) == (A, "promote", "ada", "first")
    assert before <= datetime.fromisoformat(live.at) <= datetime.now(UTC)


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_pointer_is_later_than_the_one_before_even_if_that_clock_ran_ahead(ahead: timedelta) -> None:
    before = _live(at=(datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    after = new_live(B, "promote", by="", why="", after=before)
    assert after.at > before.at
    assert after.ledger_name() > before.ledger_name()


@pytest.mark.parametrize(
    ("steps", "stack"),
    [
        ([], []),
        ([A], [A]),
        ([A, A], [A]),
        ([A, B], [A, B]),
        ([A, B, "<" + A], [A]),
        ([A, B, C, "<" + B, "<" + A], [A]),
        ([A, B, "<" + A, C], [A, C]),
        ([A, B, A], [A, B, A]),
        ([A, B, C, "<" + A], [A]),
        ([A, "<" + B], [A, B]),
        ([A, B, "<" + B], [A, B]),
    ],
)
def test_a_promotion_pushes_and_a_rollback_pops(steps: list[str], stack: list[str]) -> None:
    assert _versions(*steps) == stack


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(["promote", "rollback"]))))
def test_the_present_version_is_always_on_top_and_never_twice_in_a_row(steps: list[tuple[str, Action]]) -> None:
    stack = release_stack([_live(version, action) for version, action in steps])
    assert not steps or stack[-1] == steps[-1][0]
    assert all(below != above for below, above in itertools.pairwise(stack))


@given(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=8))
def test_rolling_back_again_and_again_walks_every_promotion_backwards(promoted: list[str]) -> None:
    history = [_live(version) for version in promoted]
    served = [version for i, version in enumerate(promoted) if i == 0 or promoted[i - 1] != version]
    walked = [promoted[-1]]
    while len(stack := release_stack(history)) > 1:
        history.append(_live(stack[-2], "rollback"))
        walked.append(stack[-2])
        assert len(walked) <= len(served), "it goes round in circles"
    assert walked == served[::-1]


def test_the_versions_of_these_tests_are_versions() -> None:
    assert all(VERSION.fullmatch(version) for version in (A, B, C))
