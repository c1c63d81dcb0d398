"""The model that serves follows the pointer: in the background, never to a broken version, and back when mended."""

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger

from functions.predict import loading
from functions.predict.live import LiveModel
from functions.predict.scratch import Scratch
from slipway.errors import ModelUnavailable, StoreError, UnknownResource
from slipway.loading import load_predictor
from slipway.releases import Live
from slipway.settings import Settings
from slipway.store import Store

POLL = 10.1  # just after the default of poll_seconds
STALE = 25.1


def _version(models: LiveModel) -> str:
    return models.current().manifest.version


def _promote(store: Store, version: str) -> None:
    store.promote(version, by="ada", why="because")


def _canary(store: Store, version: str, weight: float = 0.5) -> None:
    store.canary(version, weight, by="ada", why="a try")


def _shadow(store: Store, version: str, share: float = 1.0) -> None:
    store.shadow(version, share, by="ada", why="a look")


def _roles(models: LiveModel) -> dict[str, set[str]]:
    """Which versions answered 200 requests as what."""
    chosen = [models.choose(str(number)) for number in range(200)]
    return {role: {c.predictor.manifest.version for c in chosen if c.role == role} for role in {c.role for c in chosen}}


class Gate(Store):
    """A store whose pointer or files can be held back, or refused."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.down = False
        self.downloads: list[str] = []
        self.held: dict[str, threading.Event] = {}

    def fetch(self, version: str, *arguments: Any, **options: Any) -> Path:
        self.downloads.append(version)
        assert self.held.get(version, self.open).wait(10)
        return super().fetch(version, *arguments, **options)

    def live(self) -> Live | None:
        self.asked.set()
        assert self.open.wait(10)
        if self.down:
            raise StoreError("S3 is away.")
        return super().live()


@pytest.fixture
def store(bucket: str) -> Gate:
    return Gate(bucket, "demo")


# --- following the pointer


def test_before_the_first_promotion_no_model_is_available(models: LiveModel) -> None:
    with pytest.raises(ModelUnavailable, match="none is live") as caught:
        models.current()
    assert "slipway promote" in caught.value.remedy


def test_the_first_promotion_is_served_at_once(models: LiveModel, store: Store, tiny_artifact: Path) -> None:
    with pytest.raises(ModelUnavailable):
        models.current()
    version = store.publish(tiny_artifact)
    with pytest.raises(ModelUnavailable):
        models.current()
    _promote(store, version)
    assert _version(models) == version


def test_what_was_begun_is_there_when_it_is_asked_for(
    models: LiveModel, promoted: str, settled: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    models.begin()
    settled()
    monkeypatch.setattr(Store, "fetch", lambda *_, **__: pytest.fail("it was fetched again"))
    assert _version(models) == promoted


def test_a_fresh_answer_of_the_store_is_not_asked_for_again(
    models: LiveModel, store: Gate, promoted: str, clock: Any
) -> None:
    models.current()
    store.asked.clear()
    clock.advance(9.9)
    models.current()
    assert not store.asked.is_set()


def test_a_start_is_in_a_hurry_and_a_load_beside_a_version_that_answers_is_not(
    models: LiveModel,
    store: Store,
    promoted: str,
    second: str,
    clock: Any,
    settled: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, in_turn, fetch = [], [], store.fetch
    monkeypatch.setattr(
        loading, "load_predictor", lambda *a, **k: given.append(k["niceness"]) or load_predictor(*a, **k)
    )
    monkeypatch.setattr(store, "fetch", lambda *a, **k: in_turn.append(k["in_turn"]) or fetch(*a, **k))
    models.current()
    _promote(store, second)
    clock.advance(STALE)
    assert _version(models) == second
    settled()
    assert given == [0, 10]
    assert in_turn == [False, True]


def test_a_promotion_is_picked_up_in_the_background_while_the_old_version_answers(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, settled: Callable[[], None]
) -> None:
    assert _version(models) == promoted
    _promote(store, second)
    store.open.clear()
    clock.advance(POLL)
    assert _version(models) == promoted, "the request does not wait for a store that has not answered"
    store.open.set()
    settled()
    assert _version(models) == second


def test_a_rollback_is_picked_up_as_a_promotion_is(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, settled: Callable[[], None]
) -> None:
    _promote(store, second)
    assert _version(models) == second
    store.rollback(by="ada", why="worse")
    clock.advance(POLL)
    models.current()
    settled()
    assert _version(models) == promoted


def test_a_request_that_finds_the_last_answer_stale_waits_for_the_next(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any
) -> None:
    models.current()
    _promote(store, second)
    clock.advance(STALE)
    assert _version(models) == second


def test_after_a_snapshot_was_restored_the_next_request_asks_first(
    models: LiveModel, store: Gate, promoted: str, second: str
) -> None:
    models.current()
    _promote(store, second)
    models.expire()
    assert _version(models) == second


def test_while_s3_is_down_the_old_version_serves_and_the_log_says_why(
    models: LiveModel, store: Gate, promoted: str, clock: Any, live_logs: Any
) -> None:
    models.current()
    store.down = True
    for _ in range(3):
        clock.advance(STALE)
        assert _version(models) == promoted
    (*_, record) = live_logs.of("the live version could not be followed")
    assert (record["level"], record["reason"]) == ("WARNING", "S3 is away.")


def test_a_promotion_during_the_outage_is_served_after_it(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any
) -> None:
    models.current()
    store.down = True
    _promote_behind(store, second)
    clock.advance(STALE)
    assert _version(models) == promoted
    store.down = False
    clock.advance(STALE)
    assert _version(models) == second


def _promote_behind(store: Gate, version: str) -> None:
    Store("models-bucket", "demo").promote(version, by="bob", why="")


def test_an_s3_that_answers_late_with_an_error_does_not_make_every_request_wait(
    models: LiveModel, store: Gate, promoted: str, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.current()

    def times_out() -> Live | None:
        clock.advance(33)  # three attempts of ten seconds, and their pauses
        raise StoreError("S3 does not answer.")

    monkeypatch.setattr(store, "live", times_out)
    clock.advance(STALE)
    models.current()
    waited: list[float] = []
    for _ in range(3):  # requests that come one after the other, without a pause
        before = clock.now
        models.current()
        waited.append(clock.now - before)
    assert waited == [0, 0, 0]


def test_an_unforeseen_error_in_the_background_is_logged_and_the_old_version_serves_on(
    models: LiveModel, store: Gate, promoted: str, clock: Any, live_logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble() -> Live | None:
        raise RuntimeError("nobody thought of this")

    models.current()
    monkeypatch.setattr(store, "live", stumble)
    clock.advance(STALE)
    assert _version(models) == promoted
    assert [record for record in live_logs.all() if record["level"] in ("WARNING", "ERROR")]


def test_a_deleted_pointer_changes_nothing(models: LiveModel, promoted: str, clock: Any, bucket: str) -> None:
    models.current()
    boto3.client("s3").delete_object(Bucket=bucket, Key="models/demo/live.json")
    clock.advance(STALE)
    assert _version(models) == promoted


# --- broken versions


@pytest.mark.parametrize("name", ["tokenizer.json", "model.int8.onnx", "model.int8.onnx.data", "manifest.json"])
def test_a_broken_new_version_is_refused_by_name_and_the_old_one_serves_on(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    clock: Any,
    damage: Callable[..., None],
    live_logs: Any,
    name: str,
) -> None:
    models.current()
    damage(second, name)
    _promote(store, second)
    clock.advance(STALE)
    assert _version(models) == promoted
    assert name in models.refused[second]
    (record,) = live_logs.of("version refused")
    assert (record["level"], record["model_version"], record["still_serving"]) == ("ERROR", second, promoted)
    assert name in record["reason"]


@pytest.mark.parametrize("name", ["model.int8.onnx", "manifest.json"])
def test_a_new_version_with_a_file_missing_is_refused_by_name(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, bucket: str, name: str
) -> None:
    models.current()
    _promote(store, second)
    boto3.client("s3").delete_object(Bucket=bucket, Key=f"models/demo/{second}/{name}")
    clock.advance(STALE)
    assert _version(models) == promoted
    assert second in models.refused


def test_a_refused_version_is_left_alone_for_a_minute_and_served_once_it_is_mended(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, damage: Callable[..., None], live_logs: Any
) -> None:
    models.current()
    damage(second)
    _promote(store, second)
    clock.advance(STALE)
    models.current()
    damage(second)  # flips the byte back
    clock.advance(30)
    assert _version(models) == promoted, "it is not fetched again before the minute is over"
    assert len(live_logs.of("version refused")) == 1
    clock.advance(31)
    assert _version(models) == second
    assert models.refused == {}


def test_a_version_that_stays_broken_is_tried_again_and_again(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, damage: Callable[..., None], live_logs: Any
) -> None:
    models.current()
    damage(second)
    _promote(store, second)
    for _ in range(3):
        clock.advance(61)
        assert _version(models) == promoted
    assert len(live_logs.of("version refused")) == 3


def test_a_refused_version_leaves_no_files(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, damage: Callable[..., None], cache: Path
) -> None:
    models.current()
    damage(second)
    _promote(store, second)
    clock.advance(STALE)
    models.current()
    assert [path.name for path in cache.iterdir()] == [promoted]


def test_a_cold_start_under_a_broken_live_version_serves_the_last_good_one(
    models: LiveModel, store: Gate, promoted: str, second: str, damage: Callable[..., None]
) -> None:
    _promote(store, second)
    damage(second)
    assert _version(models) == promoted
    assert second in models.refused


def test_a_cold_start_goes_back_as_far_as_it_must(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    damage: Callable[..., None],
    another: Callable[[int], str],
) -> None:
    third = another(3)
    for version in (second, third):
        _promote(store, version)
        damage(version)
    assert _version(models) == promoted
    assert set(models.refused) == {second, third}


def test_a_cold_start_under_a_live_version_with_a_file_missing_serves_the_last_good_one(
    models: LiveModel, store: Gate, promoted: str, second: str, bucket: str
) -> None:
    _promote(store, second)
    boto3.client("s3").delete_object(Bucket=bucket, Key=f"models/demo/{second}/model.int8.onnx")
    assert _version(models) == promoted


def test_with_nothing_but_broken_versions_the_refusal_says_why(
    models: LiveModel, promoted: str, damage: Callable[..., None]
) -> None:
    damage(promoted)
    with pytest.raises(ModelUnavailable, match=r"model\.int8\.onnx\.data"):
        models.current()


# --- versions by name


def test_any_published_version_can_be_asked_for_by_name(models: LiveModel, promoted: str, second: str) -> None:
    assert models.version(second).manifest.version == second
    assert models.version(promoted) is models.current()
    assert models.loaded() == [promoted, second]


def test_two_named_versions_are_kept_and_the_least_recently_used_one_goes(
    models: LiveModel, promoted: str, another: Callable[[int], str], cache: Path
) -> None:
    first, second, third = (another(day) for day in (1, 2, 3))
    kept = models.version(first)
    models.version(second)
    assert models.version(first) is kept, "it is not loaded again"
    models.version(third)
    assert models.loaded() == [promoted, third, first]
    assert {path.name for path in cache.iterdir()} == {promoted, third, first}
    assert models.version(second).manifest.version == second


@pytest.mark.parametrize("version", ["20261123T120000Z-ffffffffffff", "x", "../demo"])
def test_an_unknown_version_is_an_unknown_resource(models: LiveModel, promoted: str, version: str) -> None:
    with pytest.raises(UnknownResource) as caught:
        models.version(version)
    assert caught.value.field == "version"


def test_a_broken_named_version_is_unavailable_and_the_live_one_is_not_touched(
    models: LiveModel, promoted: str, second: str, damage: Callable[..., None], cache: Path
) -> None:
    damage(second)
    with pytest.raises(ModelUnavailable, match=r"model\.int8\.onnx\.data"):
        models.version(second)
    assert models.loaded() == [promoted]
    assert [path.name for path in cache.iterdir()] == [promoted]


def test_a_named_version_that_is_promoted_is_listed_once(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any
) -> None:
    models.version(second)
    _promote(store, second)
    clock.advance(STALE)
    assert models.loaded() == [second]


# --- candidates


@pytest.fixture
def follow(models: LiveModel, clock: Any, settled: Callable[[], None]) -> Callable[[], None]:
    """Let the model see the pointer of now, and load what it names."""

    def followed() -> None:
        clock.advance(STALE)
        models.current()
        settled()

    return followed


def test_a_canary_answers_its_part_of_the_requests_and_each_id_always_the_same(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None]
) -> None:
    _canary(store, second, 0.3)
    follow()
    assert _roles(models) == {"live": {promoted}, "canary": {second}}
    first = [models.choose(str(number)).role for number in range(200)]
    assert 30 < first.count("canary") < 90
    assert first == [models.choose(str(number)).role for number in range(200)]


def test_a_canary_grows_without_being_loaded_again_and_keeps_who_has_met_it(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None]
) -> None:
    met: list[set[int]] = []
    for weight in (0.1, 0.5, 0.9):
        _canary(store, second, weight)
        follow()
        met.append({number for number in range(200) if models.choose(str(number)).role == "canary"})
    assert set() < met[0] < met[1] < met[2]
    assert store.downloads == [promoted, second]


def test_until_the_canary_is_loaded_the_live_version_answers_and_no_request_waits_for_it(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, settled: Callable[[], None]
) -> None:
    models.current()
    store.held[second] = threading.Event()
    _canary(store, second)
    clock.advance(STALE)
    assert _roles(models) == {"live": {promoted}}, "though it is stale, the request waits for the pointer alone"
    with pytest.raises(ModelUnavailable, match="is being loaded") as caught:
        models.version("canary")
    assert caught.value.remedy
    store.held[second].set()
    settled()
    assert _roles(models) == {"live": {promoted}, "canary": {second}}


def test_a_promotion_is_followed_while_a_candidate_is_still_being_loaded(
    models: LiveModel, store: Gate, promoted: str, second: str, another: Callable[[int], str], clock: Any, cache: Path
) -> None:
    third = another(3)
    models.current()
    store.held[second] = threading.Event()
    _shadow(store, second)
    clock.advance(STALE)
    models.current()
    _promote(store, third)
    clock.advance(STALE)
    assert _version(models) == third
    store.rollback(by="ada", why="not that either")
    clock.advance(STALE)
    assert _version(models) == third
    store.held[second].set()
    _join_refresh(30)
    assert models.states() == [(third, ("live",))], "it was withdrawn while it was being loaded"
    assert [path.name for path in cache.iterdir()] == [third]


def test_promoting_a_loaded_canary_downloads_nothing_and_serves_the_same_predictor(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None], cache: Path
) -> None:
    _canary(store, second)
    follow()
    loaded = models.version("canary")
    _promote(store, second)
    follow()
    assert models.current() is loaded
    assert _roles(models) == {"live": {second}}
    assert store.downloads == [promoted, second]
    assert [path.name for path in cache.iterdir()] == [second]


def test_a_shadow_becomes_the_canary_and_then_live_with_one_download(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None]
) -> None:
    steps: list[Callable[..., None]] = [_shadow, _canary, _promote]
    for step in steps:
        step(store, second)
        follow()
    assert _version(models) == second
    assert store.downloads == [promoted, second]


@pytest.mark.parametrize("put", [_canary, _shadow])
def test_a_withdrawn_candidate_leaves_memory_and_disk(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    follow: Callable[[], None],
    cache: Path,
    put: Callable[..., None],
) -> None:
    put(store, second)
    follow()
    assert {path.name for path in cache.iterdir()} == {promoted, second}
    held = weakref.ref(models.version(second))
    store.rollback(by="ada", why="worse")
    follow()
    assert models.loaded() == [promoted]
    assert [path.name for path in cache.iterdir()] == [promoted]
    assert held() is None


@pytest.mark.parametrize("label", ["canary", "shadow"])
def test_a_broken_candidate_is_refused_and_logged_and_the_live_version_answers(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    follow: Callable[[], None],
    damage: Callable[..., None],
    live_logs: Any,
    label: str,
) -> None:
    damage(second)
    {"canary": _canary, "shadow": _shadow}[label](store, second)
    follow()
    assert _roles(models) == {"live": {promoted}}
    assert models.shadow("1") is None
    assert "model.int8.onnx.data" in models.refused[second]
    (record,) = live_logs.of("version refused")
    assert (record["model_version"], record["still_serving"]) == (second, promoted)
    with pytest.raises(ModelUnavailable, match=r"model\.int8\.onnx\.data"):
        models.version(label)


def test_a_broken_candidate_leaves_no_files(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    follow: Callable[[], None],
    damage: Callable[..., None],
    cache: Path,
) -> None:
    damage(second)
    _canary(store, second)
    follow()
    assert [path.name for path in cache.iterdir()] == [promoted]


def test_a_broken_canary_answers_once_it_is_mended(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    clock: Any,
    follow: Callable[[], None],
    damage: Callable[..., None],
) -> None:
    damage(second)
    _canary(store, second)
    follow()
    damage(second)  # flips the byte back
    follow()
    assert store.downloads.count(second) == 2, "it is fetched once more at once, and then left alone for a minute"
    clock.advance(36)
    follow()
    assert _roles(models) == {"live": {promoted}, "canary": {second}}
    assert models.refused == {}


def test_a_candidate_that_s3_refuses_is_tried_again_at_the_next_poll(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    follow: Callable[[], None],
    live_logs: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: Any, **__: Any) -> Path:
        raise StoreError("S3 is away.")

    models.current()
    _canary(store, second)
    with monkeypatch.context() as patch:
        patch.setattr(store, "fetch", away)
        follow()
    (record,) = live_logs.of("a candidate could not be loaded")
    assert record["reason"] == "S3 is away."
    assert _roles(models) == {"live": {promoted}}
    follow()
    assert _roles(models) == {"live": {promoted}, "canary": {second}}


def test_with_a_broken_live_version_the_last_good_one_and_the_canary_answer(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    another: Callable[[int], str],
    follow: Callable[[], None],
    damage: Callable[..., None],
) -> None:
    third = another(3)
    _promote(store, second)
    damage(second)
    _canary(store, third)
    follow()
    assert _roles(models) == {"live": {promoted}, "canary": {third}}


def test_a_shadow_scores_its_share_and_answers_nobody(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None]
) -> None:
    _shadow(store, second, 0.3)
    assert models.shadow("1") is None, "nothing is loaded yet"
    follow()
    assert _roles(models) == {"live": {promoted}}
    sampled = [models.shadow(str(number)) for number in range(200)]
    assert {found.manifest.version for found in sampled if found} == {second}
    assert 30 < 200 - sampled.count(None) < 90
    assert sampled == [models.shadow(str(number)) for number in range(200)]


def test_what_the_canary_answers_is_not_held_against_the_shadow(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    another: Callable[[int], str],
    follow: Callable[[], None],
) -> None:
    _canary(store, second)
    _shadow(store, another(3))
    follow()
    for number in range(200):
        assert (models.shadow(str(number)) is None) == (models.choose(str(number)).role == "canary")


def test_labels_name_versions(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    another: Callable[[int], str],
    follow: Callable[[], None],
) -> None:
    third = another(3)
    _canary(store, second)
    _shadow(store, third)
    follow()
    named = {label: models.version(label).manifest.version for label in ("live", "canary", "shadow")}
    assert named == {"live": promoted, "canary": second, "shadow": third}
    assert models.version(second) is models.version("canary"), "a version with a role is not loaded again"
    assert models.states() == [(promoted, ("live",)), (second, ("canary",)), (third, ("shadow",))]
    assert models.loaded() == [promoted, second, third]


@pytest.mark.parametrize("label", ["canary", "shadow", "Live", "stable"])
def test_a_label_that_nothing_has_is_unknown_and_those_there_are_are_named(
    models: LiveModel, promoted: str, label: str
) -> None:
    with pytest.raises(UnknownResource) as caught:
        models.version(label)
    assert caught.value.field == "version"
    assert label in caught.value.detail
    assert "live, canary, shadow" in caught.value.remedy


def test_a_version_addressed_by_name_that_becomes_the_canary_is_not_loaded_again(
    models: LiveModel, store: Gate, promoted: str, second: str, follow: Callable[[], None]
) -> None:
    named = models.version(second)
    assert models.states() == [(promoted, ("live",)), (second, ())]
    _canary(store, second)
    follow()
    assert models.version("canary") is named
    assert models.states() == [(promoted, ("live",)), (second, ("canary",))]
    assert store.downloads == [promoted, second]


# --- memory


def test_bytes_are_those_of_the_files_of_every_version_in_memory(
    models: LiveModel,
    store: Gate,
    promoted: str,
    second: str,
    another: Callable[[int], str],
    follow: Callable[[], None],
) -> None:
    sizes = {}
    for version in (promoted, second, third := another(3)):
        manifest = store.manifest(version)
        sizes[version] = sum(manifest.files[name].size for name in manifest.serving_files())
    assert models.bytes() == 0
    models.current()
    assert models.bytes() == sizes[promoted]
    models.version(third)
    _canary(store, second)
    follow()
    assert models.bytes() == sum(sizes.values())
    models.unload_others()
    assert models.bytes() == sizes[promoted] + sizes[second]
    assert models.loaded() == [promoted, second]


def test_an_unloaded_model_holds_nothing_and_loads_again_when_it_is_asked(
    models: LiveModel, store: Gate, promoted: str, second: str, cache: Path
) -> None:
    held = weakref.ref(models.version(second))
    models.unload()
    assert models.bytes() == 0
    assert list(cache.iterdir()) == []
    assert held() is None
    assert models.loaded() == [promoted]


def test_a_request_in_flight_is_answered_by_a_model_that_is_unloaded(models: LiveModel, promoted: str) -> None:
    predictor = models.current()
    models.unload()
    assert predictor.predict(["a good film"])[0].tokens == 5


def test_a_request_that_waited_for_a_model_gets_it_even_if_it_was_unloaded_at_once(
    models: LiveModel, store: Gate, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models that do not fit together, asked for at the same time."""
    follow = LiveModel._follow

    def unloaded_at_once(self: LiveModel, *given: Any) -> Any:
        serving = follow(self, *given)
        self.unload()
        return serving

    monkeypatch.setattr(LiveModel, "_follow", unloaded_at_once)
    assert _version(models) == promoted
    assert models.bytes() == 0


# --- the cache and concurrent requests


def test_the_files_of_a_replaced_version_are_removed(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any, cache: Path
) -> None:
    models.current()
    assert [path.name for path in cache.iterdir()] == [promoted]
    _promote(store, second)
    clock.advance(STALE)
    models.current()
    assert [path.name for path in cache.iterdir()] == [second]


def test_a_predictor_in_use_answers_on_after_its_files_are_gone(
    models: LiveModel, store: Gate, promoted: str, second: str, clock: Any
) -> None:
    old = models.current()
    (before,) = old.predict(["a good film"])
    _promote(store, second)
    clock.advance(STALE)
    models.current()
    (after,) = old.predict(["a good film"])
    assert before.probabilities.tolist() == after.probabilities.tolist()


def test_concurrent_requests_never_fail_while_versions_are_swapped(
    store: Gate, promoted: str, second: str, scratch: Scratch, live_logs: Any, settled: Callable[[], None]
) -> None:
    eager = Settings(model="demo", model_bucket="models-bucket", poll_seconds=0.0)
    models = LiveModel(eager, store=store, scratch=scratch, logger=Logger(service="swaps", stream=live_logs.stream))
    models.current()
    done = threading.Event()

    def request() -> set[str]:
        seen = set()
        while not done.is_set():
            predictor = models.current()
            assert abs(float(predictor.predict(["a good film"])[0].probabilities.sum()) - 1) < 1e-6
            seen.add(predictor.manifest.version)
        return seen

    with ThreadPoolExecutor(3) as threads:
        requests = [threads.submit(request) for _ in range(3)]
        try:
            for version in (second, promoted, second):
                before = threading.Event()
                _promote(store, version)
                for _ in range(2_000):
                    if _version(models) == version:
                        before.set()
                        break
                    settled()
                assert before.is_set()
        finally:
            done.set()
        assert {promoted, second} >= {version for each in requests for version in each.result(30)}
    assert models.refused == {}


def test_no_request_fails_or_waits_for_a_model_while_candidates_come_and_go_and_are_promoted(
    store: Gate, promoted: str, second: str, another: Callable[[int], str], scratch: Scratch, live_logs: Any
) -> None:
    eager = Settings(model="demo", model_bucket="models-bucket", poll_seconds=0.0)
    models = LiveModel(eager, store=store, scratch=scratch, logger=Logger(service="hot", stream=live_logs.stream))
    models.current()
    third, done = another(3), threading.Event()

    def request(name: int) -> set[tuple[str, str]]:
        seen: set[tuple[str, str]] = set()
        number = 0
        while not done.is_set():
            number += 1
            chosen = models.choose(f"{name} {number}")
            assert abs(float(chosen.predictor.predict(["a good film"])[0].probabilities.sum()) - 1) < 1e-6
            seen.add((chosen.predictor.manifest.version, chosen.role))
        return seen

    steps: list[tuple[Callable[[], object], tuple[str, str]]] = [
        (lambda: _canary(store, second), (second, "canary")),
        (lambda: _promote(store, second), (second, "live")),
        (lambda: _shadow(store, third), (second, "live")),
        (lambda: _canary(store, third), (third, "canary")),
        (lambda: store.rollback(by="ada", why=""), (second, "live")),
        (lambda: store.rollback(by="ada", why=""), (promoted, "live")),
    ]
    with ThreadPoolExecutor(4) as threads:
        requests = [threads.submit(request, name) for name in range(4)]
        try:
            for change, expected in steps:
                change()
                _wait_until(lambda expected=expected: _seen(models, *expected))  # type: ignore[misc]
        finally:
            done.set()
        seen = {answer for each in requests for answer in each.result(30)}
    _join_refresh(30)
    assert {expected for _, expected in steps} <= seen
    assert models.refused == {}


def _seen(models: LiveModel, version: str, role: str) -> bool:
    chosen = [models.choose(str(number)) for number in range(20)]
    return any((c.predictor.manifest.version, c.role) == (version, role) for c in chosen)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _join_refresh(seconds: float) -> None:
    for thread in threading.enumerate():
        if thread.name == "refresh":
            thread.join(seconds)


class _PausingStore(Gate):
    """Stops after a fetch of one version by a request, until the test lets it go on."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.paused = ""
        self.fetched = threading.Event()
        self.go_on = threading.Event()

    def fetch(self, version: str, *arguments: Any, **options: Any) -> Path:
        directory = super().fetch(version, *arguments, **options)
        if version == self.paused and threading.current_thread().name != "refresh":
            self.fetched.set()
            assert self.go_on.wait(10)
        return directory


class _PausingLogger:
    """Stops between the swap to a version and the removal of the files of the one before."""

    def __init__(self) -> None:
        self.armed = False
        self.serving = threading.Event()
        self.go_on = threading.Event()

    def info(self, *_: object, **__: object) -> None:
        if self.armed:
            self.serving.set()
            assert self.go_on.wait(10)

    warning = error = info


def test_a_request_for_the_version_that_is_just_replaced_is_answered(
    settings: Settings,
    bucket: str,
    promoted: str,
    second: str,
    scratch: Scratch,
    clock: Any,
    settled: Callable[[], None],
) -> None:
    store, logger = _PausingStore(bucket, "demo"), _PausingLogger()
    models = LiveModel(settings, store=store, scratch=scratch, logger=logger, clock=clock)  # type: ignore[arg-type]
    models.current()
    _promote(store, second)
    store.paused, logger.armed = promoted, True
    clock.advance(POLL)
    models.current()
    assert logger.serving.wait(10)
    with ThreadPoolExecutor(1) as threads:
        request = threads.submit(models.version, promoted)
        assert store.fetched.wait(10), "the request has found the files"
        logger.go_on.set()
        _join_refresh(1)  # and now they are removed, unless that waits for the request, which is just as well
        store.go_on.set()
        assert request.result(10).manifest.version == promoted


def test_a_request_for_the_version_that_is_just_being_promoted_is_answered(
    settings: Settings,
    bucket: str,
    promoted: str,
    second: str,
    scratch: Scratch,
    clock: Any,
    settled: Callable[[], None],
) -> None:
    class Slow:
        """An S3 client in which the request and the background download the new version at the same time."""

        def __init__(self) -> None:
            self._client = boto3.client("s3")
            self._request_is_here = threading.Event()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def get_object(self, **where: Any) -> Any:
            if where["Key"].endswith(f"{second}/tokenizer.json"):
                if threading.current_thread().name == "refresh":
                    self._request_is_here.wait(1)  # in vain if loads take turns, which is just as well
                else:
                    self._request_is_here.set()
                    _join_refresh(1)
            return self._client.get_object(**where)

    store, logger = Store(bucket, "demo", Slow()), _PausingLogger()
    models = LiveModel(settings, store=store, scratch=scratch, logger=logger, clock=clock)  # type: ignore[arg-type]
    models.current()
    _promote(store, second)
    clock.advance(POLL)
    assert models.version(second).manifest.version == second
    settled()
    clock.advance(STALE)
    assert _version(models) == second
