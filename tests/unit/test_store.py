"""The model store against moto's S3: versions, pointer, ledger; races, kills and full disks."""

import dataclasses
import errno
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from slipway.artifact import MANIFEST, read_manifest
from slipway.errors import ArtifactError, Conflict, StoreError, UnknownVersion
from slipway.loading import load_predictor
from slipway.releases import Canary, Live, Shadow
from slipway.store import Store
from tests.unit.conftest import SERVED

PREFIX = "models/demo/"
A, B, C, D = (f"2026112{day}T120000Z-{'abcd'[day] * 12}" for day in range(4))


class Wire:
    """An S3 client that lets a test act before or after one call, as another process or a bad network would."""

    def __init__(
        self,
        operation: str,
        key: str,
        *,
        before: Callable[[], None] | None = None,
        lost: bool = False,
        client: Any = None,
    ) -> None:
        self._client = client or boto3.client("s3")
        self._operation, self._key = operation, key
        self._before, self._lost = before, lost

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return method if name != self._operation else lambda **arguments: self._call(method, arguments)

    def _call(self, method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if self._key not in arguments["Key"]:
            return method(**arguments)
        before, self._before = self._before, None
        lost, self._lost = self._lost, False
        if before:
            before()
        answer = method(**arguments)
        if lost:  # the answer never arrived: botocore asks again, and finds its own write there
            return method(**arguments)
        return answer


class KilledAfterPointer(Wire):
    """Dies between the pointer and the ledger entry of its own switch."""

    def __init__(self) -> None:
        super().__init__("put_object", "")
        self._pointed = False

    def _call(self, method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if self._pointed:
            raise KeyboardInterrupt
        self._pointed = arguments["Key"].endswith("live.json")
        return method(**arguments)


def _killed() -> None:
    raise KeyboardInterrupt


def _denied() -> None:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")


def _put_version(version: str) -> None:
    """As little as a promotion asks for: a manifest under that version."""
    boto3.client("s3").put_object(Bucket="models-bucket", Key=f"{PREFIX}{version}/{MANIFEST}", Body=b"{}")


@pytest.fixture
def versions(store: Store) -> Store:
    for version in (A, B, C, D):
        _put_version(version)
    return store


def _promote(store: Store, *versions: str) -> None:
    for version in versions:
        store.promote(version, by="ada", why="because")


def _served(store: Store) -> list[str]:
    return [entry.version for entry in store.history()]


def _keys(under: str = "") -> list[str]:
    answer = boto3.client("s3").list_objects_v2(Bucket="models-bucket", Prefix=PREFIX + under)
    return [item["Key"] for item in answer.get("Contents", [])]


# --- publish


def test_a_published_version_is_listed_and_its_manifest_is_the_built_one(store: Store, tiny_artifact: Path) -> None:
    version = store.publish(tiny_artifact)
    assert store.versions() == [version]
    assert store.manifest(version) == read_manifest(tiny_artifact)


def test_publishing_again_changes_nothing(store: Store, tiny_artifact: Path) -> None:
    store.publish(tiny_artifact)
    before = boto3.client("s3").list_objects_v2(Bucket="models-bucket")["Contents"]
    assert store.publish(tiny_artifact) == store.versions()[0]
    assert boto3.client("s3").list_objects_v2(Bucket="models-bucket")["Contents"] == before


def test_versions_come_oldest_first(store: Store, tiny_artifact: Path, second_artifact: Path) -> None:
    published = [store.publish(second_artifact), store.publish(tiny_artifact)]
    assert store.versions() == sorted(published)


@pytest.mark.parametrize("name", [*SERVED, "card.md", MANIFEST])
def test_a_killed_publish_is_no_version_and_is_completed_by_publishing_again(
    bucket: str, tiny_artifact: Path, name: str
) -> None:
    dying = Store(bucket, "demo", Wire("put_object", name, before=_killed))
    with pytest.raises(KeyboardInterrupt):
        dying.publish(tiny_artifact)
    store = Store(bucket, "demo")
    assert store.versions() == []
    with pytest.raises(UnknownVersion):
        store.promote(tiny_artifact.name, by="ada", why="too early")
    assert store.live() is None
    assert store.publish(tiny_artifact) == tiny_artifact.name
    assert store.versions() == [tiny_artifact.name]


def test_the_manifest_is_uploaded_last(bucket: str, tiny_artifact: Path) -> None:
    seen: list[str] = []
    Store(bucket, "demo", Wire("put_object", MANIFEST, before=lambda: seen.extend(_keys()))).publish(tiny_artifact)
    assert len(seen) == len(read_manifest(tiny_artifact).files)


@pytest.mark.parametrize("name", ["tokenizer.json", MANIFEST])
def test_an_object_with_other_content_is_never_overwritten(store: Store, tiny_artifact: Path, name: str) -> None:
    key = f"{PREFIX}{tiny_artifact.name}/{name}"
    boto3.client("s3").put_object(Bucket="models-bucket", Key=key, Body=b"somebody else's")
    with pytest.raises(StoreError, match=rf"{name} exists with other content"):
        store.publish(tiny_artifact)
    assert boto3.client("s3").get_object(Bucket="models-bucket", Key=key)["Body"].read() == b"somebody else's"


def test_a_damaged_artifact_is_not_published(store: Store, artifact: Path) -> None:
    (artifact / "card.md").write_text("changed")
    with pytest.raises(ArtifactError, match=r"card\.md"):
        store.publish(artifact)
    assert _keys() == []


def test_the_artifact_of_another_model_is_not_published(bucket: str, tiny_artifact: Path) -> None:
    with pytest.raises(StoreError, match="holds the model 'demo', not 'other'"):
        Store(bucket, "other").publish(tiny_artifact)


def test_two_models_in_one_bucket_do_not_see_each_other(versions: Store) -> None:
    _promote(versions, A)
    other = Store("models-bucket", "other")
    assert (other.versions(), other.live(), other.history()) == ([], None, [])


# --- promote and rollback


def test_a_promotion_is_live_and_in_the_ledger(store: Store, tiny_artifact: Path) -> None:
    version = store.publish(tiny_artifact)
    live = store.promote(version, by="ada", why="first")
    assert store.live() == live
    assert store.history() == [live]
    assert (live.version, live.by, live.why, live.action) == (version, "ada", "first", "promote")


def test_before_the_first_promotion_nothing_is_live(store: Store) -> None:
    assert store.live() is None
    assert store.history() == []


@pytest.mark.parametrize(
    "version",
    ["20261123T120000Z-ffffffffffff", "latest", "", "../demo/x", f"{A}/..", A.upper(), A + "\n", "live.json"],
    ids=repr,
)
def test_an_unknown_version_is_refused_by_name_and_nothing_changes(versions: Store, version: str) -> None:
    _promote(versions, B)
    before = _keys()
    with pytest.raises(UnknownVersion) as caught:
        versions.promote(version, by="ada", why="a slip")
    assert repr(version) in caught.value.detail
    assert caught.value.remedy
    assert _keys() == before


def test_rollback_serves_the_version_before(versions: Store) -> None:
    _promote(versions, A, B)
    live = versions.rollback(by="ada", why="it is worse")
    assert (live.version, live.action) == (A, "rollback")
    assert versions.live() == live
    assert _served(versions) == [A, B, A]


def test_rolling_back_twice_goes_back_two_versions(versions: Store) -> None:
    _promote(versions, A, B, C)
    assert [versions.rollback(by="ada", why="").version for _ in range(2)] == [B, A]


def test_after_a_rollback_and_a_promotion_the_bad_version_is_not_come_back_to(versions: Store) -> None:
    _promote(versions, A, B)
    versions.rollback(by="ada", why="")
    _promote(versions, C)
    assert versions.rollback(by="ada", why="").version == A


def test_rollback_to_takes_any_published_version(versions: Store) -> None:
    _promote(versions, A, B, C)
    assert versions.rollback(by="ada", why="", to=A).version == A
    assert versions.rollback(by="ada", why="", to=D).version == D
    with pytest.raises(UnknownVersion):
        versions.rollback(by="ada", why="", to="20261123T120000Z-ffffffffffff")


@pytest.mark.parametrize("served", [[], [A], [A, A]])
def test_with_nothing_before_there_is_nothing_to_roll_back_to(versions: Store, served: list[str]) -> None:
    _promote(versions, *served)
    before = versions.live()
    with pytest.raises(StoreError, match="nothing to roll back to") as caught:
        versions.rollback(by="ada", why="")
    assert "--to" in caught.value.remedy
    assert versions.live() == before


def test_a_rollback_to_a_version_that_was_deleted_is_refused(versions: Store) -> None:
    _promote(versions, A, B)
    boto3.client("s3").delete_object(Bucket="models-bucket", Key=f"{PREFIX}{A}/{MANIFEST}")
    with pytest.raises(UnknownVersion, match=A):
        versions.rollback(by="ada", why="")
    live = versions.live()
    assert live
    assert live.version == B


# --- candidates


def _canary(store: Store, version: str, weight: float = 0.1) -> Live:
    return store.canary(version, weight, by="ada", why="a try")


def _shadow(store: Store, version: str, share: float = 1.0) -> Live:
    return store.shadow(version, share, by="ada", why="a look")


def test_a_canary_leaves_the_live_version_and_is_in_the_ledger(versions: Store) -> None:
    _promote(versions, A)
    live = _canary(versions, B, 0.1)
    assert versions.live() == live == versions.history()[-1]
    assert (live.version, live.action, live.canary, live.shadow) == (A, "canary", Canary(B, 0.1), None)
    assert (live.by, live.why) == ("ada", "a try")


def test_a_shadow_leaves_the_live_version_and_is_in_the_ledger(versions: Store) -> None:
    _promote(versions, A)
    live = _shadow(versions, B, 0.25)
    assert versions.live() == live == versions.history()[-1]
    assert (live.version, live.action, live.canary, live.shadow) == (A, "shadow", None, Shadow(B, 0.25))


def test_a_canary_grows_and_is_promoted(versions: Store) -> None:
    _promote(versions, A)
    for weight in (0.01, 0.1, 0.5):
        assert _canary(versions, B, weight).canary == Canary(B, weight)
    _promote(versions, B)
    live = versions.live()
    assert live
    assert (live.version, live.action, live.canary) == (B, "promote", None)
    assert len(_keys("ledger/")) == len(versions.history()) == 5
    assert versions.rollback(by="ada", why="").version == A


def test_a_canary_and_a_shadow_are_tried_at_once(versions: Store) -> None:
    _promote(versions, A)
    _canary(versions, B)
    live = _shadow(versions, C)
    assert live.candidates() == [B, C]


def test_a_version_has_one_role(versions: Store) -> None:
    _promote(versions, A)
    _shadow(versions, B)
    live = _canary(versions, B)
    assert (live.canary, live.shadow) == (Canary(B, 0.1), None)
    live = _shadow(versions, B)
    assert (live.canary, live.shadow) == (None, Shadow(B, 1.0))


def test_promoting_something_else_ends_the_canary_and_lets_the_shadow_go_on(versions: Store) -> None:
    _promote(versions, A)
    _canary(versions, B)
    _shadow(versions, C)
    _promote(versions, D)
    live = versions.live()
    assert live
    assert (live.version, live.canary, live.shadow) == (D, None, Shadow(C, 1.0))


def test_promoting_the_shadow_ends_it(versions: Store) -> None:
    _promote(versions, A)
    _shadow(versions, B)
    _promote(versions, B)
    live = versions.live()
    assert live
    assert live.candidates() == []


def test_a_rollback_withdraws_the_candidates_and_the_next_one_goes_back(versions: Store) -> None:
    _promote(versions, A, B)
    _canary(versions, C)
    _shadow(versions, D)
    live = versions.rollback(by="ada", why="it is worse")
    assert (live.version, live.action, live.candidates(), live.why) == (B, "withdraw", [], "it is worse")
    assert versions.live() == live == versions.history()[-1]
    assert versions.rollback(by="ada", why="").version == A


def test_a_rollback_to_a_version_leaves_no_candidate(versions: Store) -> None:
    _promote(versions, A, B)
    _canary(versions, C)
    _shadow(versions, D)
    live = versions.rollback(by="ada", why="", to=A)
    assert (live.version, live.action, live.candidates()) == (A, "rollback", [])


def test_a_canary_that_was_never_promoted_is_no_target_of_a_rollback(versions: Store) -> None:
    _promote(versions, A)
    _canary(versions, B)
    _promote(versions, C)
    assert versions.rollback(by="ada", why="").version == A


def test_a_candidate_can_be_withdrawn_after_its_version_was_deleted(versions: Store) -> None:
    _promote(versions, A)
    _canary(versions, B)
    for version in (A, B):
        boto3.client("s3").delete_object(Bucket="models-bucket", Key=f"{PREFIX}{version}/{MANIFEST}")
    assert versions.rollback(by="ada", why="").candidates() == []


@pytest.mark.parametrize("put", [_canary, _shadow])
def test_nothing_is_tried_before_something_is_live(versions: Store, put: Callable[..., Live]) -> None:
    with pytest.raises(StoreError, match="No version of 'demo' is live") as caught:
        put(versions, A)
    assert "Promote it" in caught.value.remedy
    assert _keys("ledger/") == []


@pytest.mark.parametrize("put", [_canary, _shadow])
def test_the_live_version_is_not_tried_beside_itself(versions: Store, put: Callable[..., Live]) -> None:
    _promote(versions, A)
    with pytest.raises(StoreError, match=f"{A} is the live version") as caught:
        put(versions, A)
    assert caught.value.remedy
    assert len(_keys("ledger/")) == 1


@pytest.mark.parametrize("put", [_canary, _shadow])
@pytest.mark.parametrize("version", ["20261123T120000Z-ffffffffffff", "latest", "../x"])
def test_an_unknown_candidate_is_refused_by_name(versions: Store, put: Callable[..., Live], version: str) -> None:
    _promote(versions, A)
    with pytest.raises(UnknownVersion) as caught:
        put(versions, version)
    assert repr(version) in caught.value.detail
    assert len(_keys("ledger/")) == 1


@pytest.mark.parametrize(
    ("put", "part"),
    [(_canary, 0.0), (_canary, 1.0), (_canary, -0.1), (_canary, float("nan")), (_shadow, 0.0), (_shadow, 1.1)],
)
def test_a_part_that_is_none_is_named(versions: Store, put: Callable[..., Live], part: float) -> None:
    _promote(versions, A)
    with pytest.raises(StoreError, match=f"not {part}") as caught:
        put(versions, B, part)
    assert caught.value.remedy
    assert len(_keys("ledger/")) == 1


# --- races


@pytest.mark.parametrize("first", [True, False], ids=["the first promotion", "a later promotion"])
def test_of_two_promotions_at_once_both_are_recorded_and_the_later_one_serves(versions: Store, first: bool) -> None:
    if not first:
        _promote(versions, A)
    wire = Wire("put_object", "live.json", before=lambda: _promote(versions, B))
    live = Store("models-bucket", "demo", wire).promote(C, by="bob", why="at the same time")
    assert versions.live() == live
    assert _served(versions) == ([] if first else [A]) + [B, C]


def test_many_promotions_from_many_threads_lose_nothing_that_was_accepted(versions: Store) -> None:
    stores = [Store("models-bucket", "demo") for _ in range(4)]
    start = threading.Barrier(4)

    def promote(index: int) -> list[Live]:
        done = []
        start.wait(10)
        for _ in range(3):
            with suppress(Conflict):  # refused in words: nothing was changed, nothing is lost
                done.append(stores[index].promote((A, B, C, D)[index], by=str(index), why=""))
        return done

    with ThreadPoolExecutor(4) as threads:
        accepted = [live for found in threads.map(promote, range(4)) for live in found]
    history = versions.history()
    assert len(accepted) >= 4
    assert sorted(accepted, key=lambda live: live.at) == history
    assert versions.live() == history[-1]


def test_a_rollback_raises_conflict_if_somebody_promotes_meanwhile(versions: Store) -> None:
    _promote(versions, A, B)
    wire = Wire("put_object", "live.json", before=lambda: _promote(versions, C))
    with pytest.raises(Conflict) as caught:
        Store("models-bucket", "demo", wire).rollback(by="bob", why="")
    assert "slipway history" in caught.value.remedy
    assert _served(versions) == [A, B, C]


def test_a_promotion_that_always_loses_gives_up_in_words(versions: Store) -> None:
    class Busy(Wire):
        def _call(self, method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
            if self._key in arguments["Key"]:
                _promote(versions, A)
            return method(**arguments)

    busy = Store("models-bucket", "demo", Busy("put_object", "live.json"))
    with pytest.raises(Conflict):
        busy.promote(B, by="bob", why="")
    assert B not in _served(versions)


def test_of_a_canary_and_a_promotion_at_once_the_promotion_counts_and_the_canary_is_refused(versions: Store) -> None:
    """What it was to be weighed against has changed: whoever set it decides again."""
    _promote(versions, A)
    wire = Wire("put_object", "live.json", before=lambda: _promote(versions, B))
    with pytest.raises(Conflict) as caught:
        _canary(Store("models-bucket", "demo", wire), C)
    assert "slipway history" in caught.value.remedy
    live = versions.live()
    assert live
    assert (live.version, live.canary) == (B, None)


def test_of_two_promotions_at_once_with_a_canary_both_are_recorded_and_no_canary_is_left(versions: Store) -> None:
    _promote(versions, A)
    _canary(versions, B)
    wire = Wire("put_object", "live.json", before=lambda: _promote(versions, B))
    live = Store("models-bucket", "demo", wire).promote(C, by="bob", why="at the same time")
    assert versions.live() == live
    assert (live.version, live.canary) == (C, None)
    assert [(entry.version, entry.action) for entry in versions.history()] == [
        (A, "promote"),
        (A, "canary"),
        (B, "promote"),
        (C, "promote"),
    ]


def test_a_promotion_that_is_done_again_keeps_the_shadow_that_came_between(versions: Store) -> None:
    _promote(versions, A)
    wire = Wire("put_object", "live.json", before=lambda: _shadow(versions, B))
    live = Store("models-bucket", "demo", wire).promote(C, by="bob", why="at the same time")
    assert (live.version, live.shadow) == (C, Shadow(B, 1.0))


@pytest.mark.parametrize("put", [_canary, _shadow])
def test_a_candidate_whose_answer_was_lost_on_the_way_is_known_to_be_set(
    versions: Store, put: Callable[..., Live]
) -> None:
    _promote(versions, A)
    live = put(Store("models-bucket", "demo", Wire("put_object", "live.json", lost=True)), B)
    assert versions.live() == live == versions.history()[-1]


def test_a_canary_killed_before_its_ledger_entry_is_recorded_by_the_next_switch(versions: Store) -> None:
    _promote(versions, A)
    with pytest.raises(KeyboardInterrupt):
        _canary(Store("models-bucket", "demo", KilledAfterPointer()), B)
    _promote(versions, B)
    assert len(_keys("ledger/")) == 3
    assert versions.history()[1].canary == Canary(B, 0.1)


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_a_switch_whose_answer_was_lost_on_the_way_is_known_to_be_done(versions: Store, action: str) -> None:
    _promote(versions, A, B)
    unlucky = Store("models-bucket", "demo", Wire("put_object", "live.json", lost=True))
    if action == "promote":
        live = unlucky.promote(C, by="bob", why="")
        assert _served(versions) == [A, B, C]
    else:
        live = unlucky.rollback(by="bob", why="")
        assert _served(versions) == [A, B, A]
    assert versions.live() == live


# --- the ledger


def test_a_switch_killed_before_its_ledger_entry_is_in_the_history_all_the_same(versions: Store) -> None:
    _promote(versions, A)
    dying = Store("models-bucket", "demo", KilledAfterPointer())
    with pytest.raises(KeyboardInterrupt):
        dying.promote(B, by="bob", why="")
    assert len(_keys("ledger/")) == 1
    assert _served(versions) == [A, B]


def test_an_entry_that_a_killed_process_owes_is_written_by_the_next_switch(versions: Store) -> None:
    _promote(versions, A)
    with pytest.raises(KeyboardInterrupt):
        Store("models-bucket", "demo", KilledAfterPointer()).promote(B, by="bob", why="killed")
    _promote(versions, C)
    assert len(_keys("ledger/")) == 3
    assert _served(versions) == [A, B, C]
    assert versions.history()[1].by == "bob"


def test_rollback_after_a_killed_promotion_goes_to_the_version_before_it(versions: Store) -> None:
    _promote(versions, A)
    with pytest.raises(KeyboardInterrupt):
        Store("models-bucket", "demo", KilledAfterPointer()).promote(B, by="bob", why="")
    assert versions.rollback(by="ada", why="").version == A
    assert _served(versions) == [A, B, A]


def test_a_ledger_entry_that_s3_refuses_is_a_store_error_and_is_written_later(versions: Store) -> None:
    refusing = Store("models-bucket", "demo", Wire("put_object", "ledger/", before=_denied))
    with pytest.raises(StoreError, match="AccessDenied"):
        refusing.promote(A, by="bob", why="")
    assert _served(versions) == [A], "it serves, and the history says so"
    _promote(versions, B)
    assert len(_keys("ledger/")) == 2


def test_a_clock_that_goes_backwards_keeps_the_order(versions: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(23, 0, -1))

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls(2026, 11, 23, next(hours), tzinfo=UTC)

    monkeypatch.setattr("slipway.releases.datetime", Clock)
    _promote(versions, A, B, C)
    assert _served(versions) == [A, B, C]
    assert versions.rollback(by="ada", why="").version == B


@pytest.mark.parametrize("raw", [b"", b"null", b"not JSON"], ids=repr)
def test_a_pointer_that_cannot_be_read_is_named(versions: Store, raw: bytes) -> None:
    boto3.client("s3").put_object(Bucket="models-bucket", Key=f"{PREFIX}live.json", Body=raw)
    with pytest.raises(StoreError, match=r"s3://models-bucket/models/demo/live\.json"):
        versions.live()


# --- diff


def test_two_builds_of_one_configuration_differ_in_their_seed_and_its_effects(
    store: Store, tiny_artifact: Path, second_artifact: Path
) -> None:
    a, b = store.publish(tiny_artifact), store.publish(second_artifact)
    found = store.diff(a, b)
    assert (found.a, found.b) == (a, b)
    assert (found.labels_added, found.labels_removed) == ([], [])
    assert (found.training["seed"].a, found.training["seed"].b) == (13, 14)
    assert "epochs" not in found.training, "what is equal is left out"
    assert found.same_data
    assert not found.same_build
    manifests = store.manifest(a), store.manifest(b)
    accuracy = found.metrics["test"]["int8"]["accuracy"]
    assert [accuracy.a, accuracy.b] == [m.metrics["test"]["int8"]["accuracy"] for m in manifests]
    assert accuracy.difference == accuracy.b - accuracy.a
    assert found.sizes["tokenizer.json"].difference == 0
    assert found.speed["int8"].keys() == manifests[0].speed["int8"].keys()
    assert found.settings["serve"].difference is None


def test_a_version_does_not_differ_from_itself(store: Store, tiny_artifact: Path) -> None:
    version = store.publish(tiny_artifact)
    found = store.diff(version, version)
    assert found.same_data
    assert found.same_build
    assert found.training == {}
    assert {change.difference for change in found.sizes.values()} == {0}


def test_other_labels_a_metric_and_a_file_that_one_side_lacks(store: Store, artifact: Path) -> None:
    manifest = read_manifest(artifact)
    labels = ["negative", "neutral"]
    metrics = {"test": {"int8": {"accuracy": 0.5}}}
    changed = dataclasses.replace(manifest, version="", labels=labels, metrics=metrics, training={"seed": 13, "new": 1})
    (artifact / MANIFEST).write_bytes(manifest.to_json())
    a = store.publish(artifact)
    (artifact / MANIFEST).write_bytes(changed.to_json())
    found = store.diff(a, store.publish(artifact))
    assert (found.labels_added, found.labels_removed) == (["neutral"], ["positive"])
    gone = found.metrics["dev"]["fp32"]["accuracy"]
    assert (gone.a, gone.b, gone.difference) == (manifest.metrics["dev"]["fp32"]["accuracy"], None, None)
    assert (found.training["new"].a, found.training["new"].b) == (None, 1)
    assert "seed" not in found.training


def test_an_unknown_version_cannot_be_compared(store: Store, tiny_artifact: Path) -> None:
    version = store.publish(tiny_artifact)
    with pytest.raises(UnknownVersion, match=A):
        store.diff(version, A)


# --- fetch


def test_a_fetched_version_can_be_loaded_and_is_fetched_once(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    directory = store.fetch(version, "int8", tmp_path / "cache")
    assert directory == tmp_path / "cache" / version
    assert sorted(path.name for path in directory.iterdir()) == sorted([*SERVED, MANIFEST])
    load_predictor(directory)
    for key in _keys(version):
        boto3.client("s3").delete_object(Bucket="models-bucket", Key=key)
    assert store.fetch(version, "int8", tmp_path / "cache") == directory, "no need of S3 any more"


@pytest.mark.parametrize("version", [A, "../..", "", "live.json"], ids=repr)
def test_fetching_an_unknown_version_leaves_nothing(store: Store, tmp_path: Path, version: str) -> None:
    with pytest.raises(UnknownVersion):
        store.fetch(version, "int8", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("failure", [_denied, _killed], ids=["refused", "killed"])
def test_a_fetch_that_breaks_off_leaves_nothing_and_works_the_next_time(
    store: Store, tiny_artifact: Path, tmp_path: Path, name: str, failure: Callable[[], None], in_turn: bool
) -> None:
    version = store.publish(tiny_artifact)
    broken = Store("models-bucket", "demo", Wire("get_object", f"/{name}", before=failure))
    with pytest.raises((StoreError, KeyboardInterrupt)):
        broken.fetch(version, "int8", tmp_path, in_turn=in_turn)
    assert list(tmp_path.iterdir()) == []
    load_predictor(store.fetch(version, "int8", tmp_path))


def test_the_weights_are_fetched_beside_the_other_files(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    """What takes longest is not kept waiting by what is small, nor the other way round."""
    version = store.publish(tiny_artifact)
    both = threading.Barrier(2)
    weights = Wire("get_object", "/model.int8.onnx.data", before=lambda: _wait(both))
    wire = Wire("get_object", "/tokenizer.json", before=lambda: _wait(both), client=weights)
    load_predictor(Store("models-bucket", "demo", wire).fetch(version, "int8", tmp_path))


def test_files_in_turn_are_fetched_by_the_caller_alone(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    threads: list[threading.Thread] = []
    wire: Any = None
    for name in SERVED:
        wire = Wire("get_object", f"/{name}", before=lambda: threads.append(threading.current_thread()), client=wire)
    load_predictor(Store("models-bucket", "demo", wire).fetch(version, "int8", tmp_path, in_turn=True))
    assert threads == [threading.current_thread()] * len(SERVED)


def test_a_full_disk_is_a_store_error_and_leaves_nothing(
    store: Store, tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.publish(tiny_artifact)
    really_open = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:
        if "w" in mode and path.is_relative_to(tmp_path) and path.name == "model.int8.onnx":
            raise OSError(errno.ENOSPC, "No space left on device")
        return really_open(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.fetch(version, "int8", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_a_store_error(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be kept in"):
        store.fetch(version, "int8", tmp_path / "file")


def test_two_fetches_of_one_version_at_once_both_get_it(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    both = threading.Barrier(2)

    def fetch() -> Path:
        wire = Wire("get_object", "/tokenizer.json", before=lambda: _wait(both))
        return Store("models-bucket", "demo", wire).fetch(version, "int8", tmp_path)

    with ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(fetch) for _ in range(2))
        assert first.result(20) == second.result(20) == tmp_path / version
    load_predictor(tmp_path / version)
    assert [path.name for path in tmp_path.iterdir()] == [version]


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait(10)


def test_an_unfinished_directory_in_the_cache_is_replaced(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    shutil.rmtree(tmp_path, ignore_errors=True)
    (tmp_path / version).mkdir(parents=True)
    load_predictor(store.fetch(version, "int8", tmp_path))


# --- any order of promotions, rollbacks and kills


class Releases(RuleBasedStateMachine):
    """The store beside the simplest model of it: a list of what served, and a stack that a rollback pops."""

    @initialize()
    def start(self) -> None:
        self.aws = moto.mock_aws()
        self.aws.start()
        boto3.client("s3").create_bucket(
            Bucket="models-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        for version in (A, B, C):
            _put_version(version)
        self.store = Store("models-bucket", "demo")
        self.served: list[str] = []
        self.stack: list[str] = []
        self.candidates: dict[str, str] = {}

    def teardown(self) -> None:
        self.aws.stop()

    def _serves(self, version: str) -> None:
        self.served.append(version)
        if self.stack[-1:] != [version]:
            self.stack.append(version)
        self.candidates = {r: v for r, v in self.candidates.items() if r == "shadow" and v != version}

    @rule(version=st.sampled_from([A, B, C]))
    def promote(self, version: str) -> None:
        self.store.promote(version, by="", why="")
        self._serves(version)

    @rule(version=st.sampled_from([A, B, C]))
    def promote_and_die(self, version: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            Store("models-bucket", "demo", KilledAfterPointer()).promote(version, by="", why="")
        self._serves(version)

    @precondition(lambda self: self.stack)
    @rule(version=st.sampled_from([A, B, C]), role=st.sampled_from(["canary", "shadow"]))
    def try_beside(self, version: str, role: str) -> None:
        put = {"canary": self.store.canary, "shadow": self.store.shadow}[role]
        if version == self.stack[-1]:
            with pytest.raises(StoreError, match="beside itself"):
                put(version, 0.5, by="", why="")
            return
        put(version, 0.5, by="", why="")
        self.served.append(self.stack[-1])
        self.candidates = {name: other for name, other in self.candidates.items() if other != version}
        self.candidates[role] = version

    @precondition(lambda self: self.candidates)
    @rule()
    def withdraw(self) -> None:
        assert self.store.rollback(by="", why="").version == self.stack[-1]
        self.served.append(self.stack[-1])
        self.candidates = {}

    @precondition(lambda self: len(self.stack) > 1 and not self.candidates)
    @rule()
    def rollback(self) -> None:
        self.stack.pop()
        assert self.store.rollback(by="", why="").version == self.stack[-1]
        self.served.append(self.stack[-1])

    @precondition(lambda self: len(self.stack) < 2 and not self.candidates)
    @rule()
    def rollback_has_nowhere_to_go(self) -> None:
        with pytest.raises(StoreError, match="nothing to roll back to"):
            self.store.rollback(by="", why="")

    @rule()
    def look(self) -> None:
        live = self.store.live()
        assert [entry.version for entry in self.store.history()] == self.served
        assert (live.version if live else None) == (self.served[-1] if self.served else None)
        named = {"canary": live.canary, "shadow": live.shadow} if live else {}
        assert {role: candidate.version for role, candidate in named.items() if candidate} == self.candidates


class TestReleases(Releases.TestCase):  # type: ignore[valid-type,misc]
    settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
