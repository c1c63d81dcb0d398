"""The model store against moto's S3: versions, pointer, ledger; races, kills and full disks."""

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

from slipway.artifact import MANIFEST, read_manifest, serving_files
from slipway.errors import ArtifactError, Conflict, StoreError, UnknownVersion
from slipway.predictor import load_predictor
from slipway.releases import Live
from slipway.store import Store

PREFIX = "models/demo/"
A, B, C, D = (f"2026112{day}T120000Z-{'abcd'[day] * 12}" for day in range(4))


class Wire:
    """An S3 client that lets a test act before or after one call, as another process or a bad network would."""

    def __init__(
        self, operation: str, key: str, *, before: Callable[[], None] | None = None, lost: bool = False
    ) -> None:
        self._client = boto3.client("s3")
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


@pytest.mark.parametrize("name", [*serving_files("int8"), "card.md", MANIFEST])
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


# --- fetch


def test_a_fetched_version_can_be_loaded_and_is_fetched_once(store: Store, tiny_artifact: Path, tmp_path: Path) -> None:
    version = store.publish(tiny_artifact)
    directory = store.fetch(version, "int8", tmp_path / "cache")
    assert directory == tmp_path / "cache" / version
    assert sorted(path.name for path in directory.iterdir()) == sorted([*serving_files("int8"), MANIFEST])
    load_predictor(directory)
    for key in _keys(version):
        boto3.client("s3").delete_object(Bucket="models-bucket", Key=key)
    assert store.fetch(version, "int8", tmp_path / "cache") == directory, "no need of S3 any more"


@pytest.mark.parametrize("version", [A, "../..", "", "live.json"], ids=repr)
def test_fetching_an_unknown_version_leaves_nothing(store: Store, tmp_path: Path, version: str) -> None:
    with pytest.raises(UnknownVersion):
        store.fetch(version, "int8", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", serving_files("int8"))
@pytest.mark.parametrize("failure", [_denied, _killed], ids=["refused", "killed"])
def test_a_fetch_that_breaks_off_leaves_nothing_and_works_the_next_time(
    store: Store, tiny_artifact: Path, tmp_path: Path, name: str, failure: Callable[[], None]
) -> None:
    version = store.publish(tiny_artifact)
    broken = Store("models-bucket", "demo", Wire("get_object", f"/{name}", before=failure))
    with pytest.raises((StoreError, KeyboardInterrupt)):
        broken.fetch(version, "int8", tmp_path)
    assert list(tmp_path.iterdir()) == []
    load_predictor(store.fetch(version, "int8", tmp_path))


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

    def teardown(self) -> None:
        self.aws.stop()

    def _serves(self, version: str) -> None:
        self.served.append(version)
        if self.stack[-1:] != [version]:
            self.stack.append(version)

    @rule(version=st.sampled_from([A, B, C]))
    def promote(self, version: str) -> None:
        self.store.promote(version, by="", why="")
        self._serves(version)

    @rule(version=st.sampled_from([A, B, C]))
    def promote_and_die(self, version: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            Store("models-bucket", "demo", KilledAfterPointer()).promote(version, by="", why="")
        self._serves(version)

    @precondition(lambda self: len(self.stack) > 1)
    @rule()
    def rollback(self) -> None:
        self.stack.pop()
        assert self.store.rollback(by="", why="").version == self.stack[-1]
        self.served.append(self.stack[-1])

    @precondition(lambda self: len(self.stack) < 2)
    @rule()
    def rollback_has_nowhere_to_go(self) -> None:
        with pytest.raises(StoreError, match="nothing to roll back to"):
            self.store.rollback(by="", why="")

    @rule()
    def look(self) -> None:
        live = self.store.live()
        assert [entry.version for entry in self.store.history()] == self.served
        assert (live.version if live else None) == (self.served[-1] if self.served else None)


class TestReleases(Releases.TestCase):  # type: ignore[valid-type,misc]
    settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
