"""The handler as Lambda imports it: what happens at init, and what one event gives."""

import gc
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from functions.predict import telemetry
from slipway.errors import SettingsError
from slipway.store import Store

MODULE = "functions.predict.handler"


@pytest.fixture
def load(
    bucket: str, monkeypatch: pytest.MonkeyPatch, settled: Callable[[], None]
) -> Iterator[Callable[[], ModuleType]]:
    """Import the handler anew, as a new execution environment does, and forget it afterwards."""
    monkeypatch.setenv("SLIPWAY_MODEL", "demo")
    monkeypatch.setenv("SLIPWAY_MODEL_BUCKET", bucket)

    caches: list[Path] = []

    def imported() -> ModuleType:
        sys.modules.pop(MODULE, None)
        module = importlib.import_module(MODULE)
        caches.append(module.scratch.folder)
        return module

    yield imported
    settled()
    sys.modules.pop(MODULE, None)
    for cache in caches:
        shutil.rmtree(cache)
    gc.enable()  # where the import ended with an error
    gc.unfreeze()  # or the tests' own garbage would stay


@pytest.fixture
def warm(load: Callable[[], ModuleType], promoted: str) -> ModuleType:
    """The handler with the first version loaded at init."""
    return load()


def test_the_model_is_loaded_at_init_and_not_at_the_first_request(
    warm: ModuleType, promoted: str, store: Store, caller: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "fetch", lambda *_, **__: pytest.fail("it was fetched by a request"))
    answer = caller(warm.handler).predict("a lovely superb moving film")
    assert (answer.status, answer.document["model_version"]) == (200, promoted)
    assert answer.document["predictions"][0]["label"] == "positive"


def test_a_function_that_is_deployed_before_its_first_model_starts_and_says_so(
    load: Callable[[], ModuleType], caller: Callable[..., Any]
) -> None:
    call = caller(load().handler)
    assert call("GET", "/v2/health/live").status == 200
    assert call.predict("a film").status == 503


def test_the_collector_is_back_after_init_and_passes_over_what_init_has_left(load: Callable[[], ModuleType]) -> None:
    load()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_the_store_is_read_before_the_predictor_is_imported() -> None:
    program = "import functions.predict.models, slipway.store, sys; print(*{'numpy', 'tokenizers'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_a_missing_setting_is_named_at_init(load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_MODEL_BUCKET")
    with pytest.raises(SettingsError, match="SLIPWAY_MODEL_BUCKET"):
        load()


def test_every_line_carries_the_request_of_api_gateway(
    warm: ModuleType, caller: Callable[..., Any], logs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    caller(warm.handler).predict("a film")
    caller(warm.handler)("GET", "/nowhere")
    (refused,) = logs.of("refused")
    (predicted,) = (line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "Latency" in line)
    for line in (predicted, refused):
        assert line["correlation_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
        assert line["function_name"] == "predict"


def test_the_first_request_of_a_function_says_so(
    warm: ModuleType, caller: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_request", {})
    caller(warm.handler).predict("a film")
    caller(warm.handler).predict("a film")
    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "Latency" in line]
    assert [line["cold_start"] for line in lines] == [True, False]


def test_after_a_snapstart_restore_the_pointer_is_asked_for(
    warm: ModuleType, store: Store, second: str, caller: Callable[..., Any]
) -> None:
    from snapshot_restore_py import get_after_restore

    store.promote(second, by="ada", why="while the snapshot slept")
    for function, arguments, options in get_after_restore():
        function(*arguments, **options)
    assert caller(warm.handler).predict("a film").document["model_version"] == second


def test_the_cache_is_where_lambda_lets_a_function_write_and_nobody_else_s(load: Callable[[], ModuleType]) -> None:
    first, second = load().scratch.folder, load().scratch.folder
    assert first.is_relative_to(tempfile.gettempdir())
    assert first != second
