"""How long a request waits for S3: seconds where a model is in memory, and never past API Gateway's 29."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.predict import live
from functions.predict.live import LiveModel
from slipway.errors import ModelUnavailable
from slipway.releases import Live
from slipway.store import Store
from tests.predict.conftest import Records


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, models: LiveModel) -> Iterator[threading.Event]:
    """From when it is cleared until it is set, S3 does not say what is live. A tenth of the seconds to wait for it."""
    answers = threading.Event()
    answers.set()
    real = Store.live

    def late(store: Store) -> Live | None:
        answers.wait(20)
        return real(store)

    monkeypatch.setattr(Store, "live", late)
    for name in ("START_WAIT", "_POINTER_WAIT"):
        monkeypatch.setattr(live, name, getattr(live, name) / 10)
    yield answers
    answers.set()


def test_a_model_in_memory_answers_though_s3_says_nothing(
    models: LiveModel, promoted: str, clock: Any, hanging: threading.Event
) -> None:
    models.current()
    hanging.clear()
    clock.advance(60)
    began = time.monotonic()
    assert models.current().manifest.version == promoted
    assert 0.25 < time.monotonic() - began < 10, "the pointer's 0.3 s, and not the model's 20"


def test_a_new_version_is_waited_for_once_the_pointer_names_it(
    models: LiveModel, promoted: str, second: str, store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.current()
    store.promote(second, by="ada", why="next")
    real = Store.fetch

    def slow(own: Store, version: str, *rest: Any, **options: Any) -> Path:
        time.sleep(0.5)
        return real(own, version, *rest, **options)

    monkeypatch.setattr(Store, "fetch", slow)
    monkeypatch.setattr(live, "_POINTER_WAIT", 0.25)
    clock.advance(60)
    assert models.current().manifest.version == second


def test_a_start_waits_less_than_lambda_gives_it_and_both_waits_fit_into_a_request(
    models: LiveModel, promoted: str, hanging: threading.Event
) -> None:
    assert (live.START_WAIT * 10, live.START_WAIT * 10 + live._LONGEST_WAIT) < (10, 29)
    hanging.clear()
    began = time.monotonic()
    with pytest.raises(ModelUnavailable):
        models.current(live.START_WAIT)
    assert time.monotonic() - began < 10, "a start's 0.8 s, and not a request's 20"


def test_what_was_damaged_on_its_way_is_fetched_again_and_served(
    models: LiveModel, promoted: str, monkeypatch: pytest.MonkeyPatch, live_logs: Records
) -> None:
    real, fetched = Store.fetch, []

    def damaged(own: Store, version: str, *rest: Any, **options: Any) -> Path:
        directory = real(own, version, *rest, **options)
        if not fetched:
            (directory / "tokenizer.json").write_bytes(b"{}")
        fetched.append(version)
        return directory

    monkeypatch.setattr(Store, "fetch", damaged)
    assert models.current().manifest.version == promoted
    assert fetched == [promoted] * 2
    assert models.refused == {}
    assert len(live_logs.of("version fetched again")) == 1


def test_what_is_damaged_in_the_store_is_fetched_twice_and_refused(
    models: LiveModel, promoted: str, damage: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(promoted)
    real, fetched = Store.fetch, []
    monkeypatch.setattr(Store, "fetch", lambda *given, **options: (fetched.append(1), real(*given, **options))[1])
    with pytest.raises(ModelUnavailable, match="damaged"):
        models.current()
    assert len(fetched) == 2
