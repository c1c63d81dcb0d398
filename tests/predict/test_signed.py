"""A function that trusts keys: a version without a good signature is refused like a damaged one."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.predict.models import Models
from functions.predict.routes import Service
from functions.predict.scratch import Scratch
from functions.predict.shadowing import Shadowing
from model_build.signing import Signer, make_key
from slipway.errors import SettingsError
from slipway.settings import Settings
from slipway.store import Store


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return make_key(tmp_path_factory.mktemp("keys") / "signing.pem")


@pytest.fixture
def models(settings: Settings, scratch: Scratch, clock: Any, live_logs: Any, key: Signer, settled: Any) -> Models:
    """The models of a function that trusts ``key``."""
    from aws_lambda_powertools import Logger

    logger = Logger(service="signed", stream=live_logs.stream)
    return Models(
        settings,
        lambda model: Store(settings.model_bucket, model, trusted_keys=key.fingerprint),
        scratch,
        logger,
        clock=clock,
    )


@pytest.fixture
def call(models: Models, settings: Settings, shadowing: Shadowing, caller: Callable[..., Any]) -> Any:
    service = Service(settings, models, shadowing)
    return caller(lambda event, _: service.handle(event))


def test_an_unsigned_promotion_is_refused_named_and_the_last_good_version_serves(
    store: Store,
    key: Signer,
    tiny_artifact: Path,
    second_artifact: Path,
    call: Any,
    clock: Any,
    live_logs: Any,
    settled: Any,
) -> None:
    first = store.publish(tiny_artifact, sign=key.manifest_signature)
    store.promote(first, by="ada", why="signed")
    assert call.predict("a lovely film").document["model_version"] == first
    second = store.publish(second_artifact)
    store.promote(second, by="mallory", why="trust me")
    clock.advance(11)
    call.predict("a lovely film")
    settled()
    answer = call.predict("a lovely film")
    assert (answer.status, answer.document["model_version"]) == (200, first)
    (told,) = live_logs.of("version refused")
    assert (told["model_version"], told["still_serving"]) == (second, first)
    assert "is not signed" in told["reason"]
    versions = {v["version"]: v for v in call("GET", "/v1/models/demo").document["model_version_status"]}
    assert "is not signed" in str(versions[second])
    named = call.predict("a lovely film", version=second)
    assert (named.status, "is not signed" in named.document["detail"]) == (503, True)
    store.publish(second_artifact, sign=key.manifest_signature)
    clock.advance(61)
    call.predict("a lovely film")
    settled()
    assert call.predict("a lovely film").document["model_version"] == second, "once somebody has signed it"


def test_a_cold_start_goes_back_to_the_last_version_that_is_signed(
    store: Store, key: Signer, tiny_artifact: Path, second_artifact: Path, call: Any
) -> None:
    first = store.publish(tiny_artifact, sign=key.manifest_signature)
    store.promote(first, by="ada", why="signed")
    store.promote(store.publish(second_artifact), by="mallory", why="")
    assert call.predict("a lovely film").document["model_version"] == first


def test_an_unsigned_canary_answers_nobody(
    store: Store, key: Signer, tiny_artifact: Path, second_artifact: Path, call: Any, settled: Any
) -> None:
    first = store.publish(tiny_artifact, sign=key.manifest_signature)
    store.promote(first, by="ada", why="signed")
    store.canary(store.publish(second_artifact), 0.999, by="mallory", why="")
    for _ in range(3):
        assert call.predict("a lovely film").document["model_version"] == first
        settled()


def test_where_nothing_is_signed_nothing_is_served(store: Store, tiny_artifact: Path, call: Any) -> None:
    store.promote(store.publish(tiny_artifact), by="mallory", why="")
    answer = call.predict("a lovely film")
    assert answer.status == 503
    assert "is not signed" in answer.document["detail"]


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "tokenizer.json", "model.int8.onnx"])
def test_a_changed_byte_in_a_signed_version_is_refused(
    store: Store, key: Signer, tiny_artifact: Path, call: Any, damage: Callable[..., None], name: str
) -> None:
    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    store.promote(version, by="ada", why="signed")
    damage(version, name)
    assert call.predict("a lovely film").status == 503


def test_the_handler_trusts_the_keys_of_its_environment(
    bucket: str, store: Store, key: Signer, tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch, caller: Any
) -> None:
    module = "functions.predict.handler"
    for name, value in Settings(model="demo", model_bucket=bucket, trusted_keys=key.fingerprint).to_env().items():
        monkeypatch.setenv(name, value)
    version = store.publish(tiny_artifact)
    store.promote(version, by="mallory", why="")
    sys.modules.pop(module, None)
    handler = importlib.import_module(module)
    try:
        assert caller(handler.handler).predict("a film").status == 503
        store.publish(tiny_artifact, sign=key.manifest_signature)
        handler.models.default._loader._refused_at.clear()
        handler.models.expire()
        assert caller(handler.handler).predict("a film").document["model_version"] == version
    finally:
        sys.modules.pop(module, None)
        shutil.rmtree(handler.scratch.folder)
    monkeypatch.setenv("SLIPWAY_TRUSTED_KEYS", "everybody")
    with pytest.raises(SettingsError, match="'everybody' is no fingerprint"):
        importlib.import_module(module)
    sys.modules.pop(module, None)


def test_a_signature_is_one_object_more_to_read_and_only_where_keys_are_trusted(
    store: Store, key: Signer, tiny_artifact: Path, tmp_path: Path
) -> None:
    read: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(boto3.client("s3"), name)

        def get_object(self, **arguments: Any) -> Any:
            read.append(arguments["Key"].rpartition("/")[2])
            return boto3.client("s3").get_object(**arguments)

    version = store.publish(tiny_artifact, sign=key.manifest_signature)
    Store("models-bucket", "demo", Counting()).fetch(version, None, tmp_path / "a")
    careless, read = [*read], []
    Store("models-bucket", "demo", Counting(), trusted_keys=key.fingerprint).fetch(version, None, tmp_path / "b")
    assert read[:2] == [careless[0], "manifest.sig"]
    assert sorted(read[2:]) == sorted(careless[1:])  # the weights come beside the other files
