"""The live pointer as bytes, the time it carries, who answers which request, and the rule of rollback."""

import dataclasses
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.artifact import VERSION
from slipway.errors import StoreError
from slipway.releases import Action, Canary, Live, Shadow, choose_shadow, choose_version, new_live, release_stack

A, B, C = (f"2026112{day}T120000Z-{'abc'[day] * 12}" for day in range(3))
AT = "2026-11-23T12:00:00.000000Z"


def _live(version: str = A, action: Action = "promote", at: str = AT) -> Live:
    return Live(version=version, action=action, by="ada", at=at, why="because")


def _versions(*steps: str) -> list[str]:
    """The stack after steps such as ``A`` (a promotion) or ``<A`` (a rollback to it)."""
    return release_stack([_live(s.lstrip("<"), "rollback" if s.startswith("<") else "promote") for s in steps])


_weights = st.floats(0, 1, exclude_min=True, exclude_max=True)
_canaries = st.builds(Canary, st.just(B), _weights)
_shadows = st.builds(Shadow, st.just(C), st.floats(0, 1, exclude_min=True))


@given(by=st.text(), why=st.text(), canary=st.none() | _canaries, shadow=st.none() | _shadows)
def test_a_pointer_survives_the_round_trip(by: str, why: str, canary: Canary | None, shadow: Shadow | None) -> None:
    live = Live(version=A, action="promote", by=by, at=AT, why=why, canary=canary, shadow=shadow)
    assert Live.from_json(live.to_json(), source="memory") == live


def test_candidates_are_written_as_objects() -> None:
    live = dataclasses.replace(_live(), canary=Canary(B, 0.1), shadow=Shadow(C, 1.0))
    content = json.loads(live.to_json())
    assert content["canary"] == {"version": B, "weight": 0.1}
    assert content["shadow"] == {"version": C, "share": 1.0}


def test_a_pointer_of_an_older_release_names_no_candidate() -> None:
    content = {name: value for name, value in json.loads(_live().to_json()).items() if name not in ("canary", "shadow")}
    assert Live.from_json(json.dumps(content).encode(), source="memory") == _live()


def test_a_shadow_that_is_a_bare_version_is_sampled_whole() -> None:
    raw = json.dumps({**json.loads(_live().to_json()), "shadow": B}).encode()
    assert Live.from_json(raw, source="memory").shadow == Shadow(B, 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"canary": B}, "no object"),
        ({"canary": [B, 0.1]}, "no object"),
        ({"canary": {"version": B}}, "no weight"),
        ({"canary": {"weight": 0.1}}, "no version"),
        ({"canary": {"version": None, "weight": 0.1}}, "None is not a text"),
        ({"canary": {"version": B, "weight": "0.1"}}, "'0.1', is not a number"),
        ({"canary": {"version": B, "weight": 0}}, "above 0"),
        ({"canary": {"version": B, "weight": 1}}, "below 1"),
        ({"canary": {"version": B, "weight": -0.1}}, "-0.1"),
        ({"canary": {"version": B, "weight": float("nan")}}, "nan"),
        ({"shadow": 5}, "no object"),
        ({"shadow": {"version": B}}, "no share"),
        ({"shadow": {"version": B, "share": True}}, "True, is not a number"),
        ({"shadow": {"version": B, "share": 1.01}}, "1.01"),
    ],
    ids=str,
)
def test_a_malformed_candidate_is_a_store_error_that_says_what_is_wrong(change: dict[str, Any], words: str) -> None:
    raw = json.dumps({**json.loads(_live().to_json()), **change}).encode()
    with pytest.raises(StoreError, match=r"^live\.json is not a readable release record") as caught:
        Live.from_json(raw, source="live.json")
    assert words in caught.value.detail


def test_what_a_later_release_says_of_a_candidate_is_ignored() -> None:
    canary = {"version": B, "weight": 0.5, "until": "tomorrow"}
    raw = json.dumps({**json.loads(_live().to_json()), "canary": canary}).encode()
    assert Live.from_json(raw, source="memory").canary == Canary(B, 0.5)


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


# --- who answers which request


def _beside(canary: Canary | None = None, shadow: Shadow | None = None) -> Live:
    return dataclasses.replace(_live(), canary=canary, shadow=shadow)


@given(st.text(st.characters()))
def test_without_a_canary_the_live_version_answers_every_request(request_id: str) -> None:
    assert choose_version(_live(), request_id) == A
    assert choose_shadow(_live(), request_id) is None


@given(st.text(st.characters()), _weights)
def test_an_id_meets_the_same_version_each_time(request_id: str, weight: float) -> None:
    """Whoever retries, and whatever else has changed in the pointer meanwhile."""
    live = _beside(Canary(B, weight))
    later = dataclasses.replace(live, at="2026-11-24T00:00:00.000000Z", by="bob", shadow=Shadow(C, 0.5))
    assert choose_version(live, request_id) == choose_version(later, request_id) in (A, B)


@given(st.text(st.characters()), _weights, _weights)
def test_who_meets_a_canary_still_meets_it_after_its_weight_was_raised(request_id: str, one: float, two: float) -> None:
    low, high = sorted((one, two))
    if choose_version(_beside(Canary(B, low)), request_id) == B:
        assert choose_version(_beside(Canary(B, high)), request_id) == B


@given(st.text(min_size=1), st.floats(0.02, 0.98))
def test_the_weight_is_the_part_of_the_requests(prefix: str, weight: float) -> None:
    """Ids that differ by a counter only, as some callers number theirs. Five standard deviations of 2,000 draws."""
    live = _beside(Canary(B, weight), Shadow(C, weight))
    ids = [f"{prefix}{number}" for number in range(2_000)]
    met = sum(choose_version(live, request_id) == B for request_id in ids) / len(ids)
    assert abs(met - weight) < 5 * (weight * (1 - weight) / len(ids)) ** 0.5


def test_one_canary_s_requests_say_nothing_about_the_next_one_s() -> None:
    ids = [str(number) for number in range(4_000)]
    of_b = {i for i in ids if choose_version(_beside(Canary(B, 0.5)), i) == B}
    of_c = {i for i in ids if choose_version(_beside(Canary(C, 0.5)), i) == C}
    assert 850 < len(of_b & of_c) < 1_150, "independent: a quarter of all"


@given(st.text(st.characters()))
def test_a_shadow_of_every_request_scores_every_one_that_the_canary_does_not_answer(request_id: str) -> None:
    assert choose_shadow(_beside(shadow=Shadow(C, 1.0)), request_id) == C
    both = _beside(Canary(B, 0.5), Shadow(C, 1.0))
    assert (choose_shadow(both, request_id) == C) == (choose_version(both, request_id) == A)


def test_a_share_is_the_part_of_what_the_live_version_answers() -> None:
    live = _beside(Canary(B, 0.5), Shadow(C, 0.5))
    chosen = [choose_shadow(live, str(number)) for number in range(4_000)]
    assert 850 < chosen.count(C) < 1_150


# --- rollback


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


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from(["canary", "shadow", "withdraw", "promote"]))))
def test_what_is_tried_and_never_promoted_is_no_target_of_a_rollback(steps: list[tuple[str, Action]]) -> None:
    history = [_live()]
    for version, action in steps:
        if action == "promote":
            history.append(_live(version))
        else:
            history.append(dataclasses.replace(_live(history[-1].version, action), canary=Canary(C, 0.1)))
    promoted = [entry for entry in history if entry.action == "promote"]
    assert release_stack(history) == release_stack(promoted)


def test_the_versions_of_these_tests_are_versions() -> None:
    assert all(VERSION.fullmatch(version) for version in (A, B, C))
