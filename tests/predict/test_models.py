"""Several models in one function: lazy, within a budget of memory, and each of them followed as if it were alone."""

import dataclasses
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from functions.predict.live import LiveModel
from functions.predict.models import Models
from functions.predict.scratch import Scratch
from slipway.artifact import MANIFEST, read_manifest
from slipway.errors import ModelUnavailable, UnknownResource
from slipway.settings import Settings
from slipway.store import Store

MIB = 1 << 20
STALE = 25.1


class Opened(Store):
    """A store that counts the downloads of its model."""

    downloads = 0

    def fetch(self, version: str, *arguments: Any, **options: Any) -> Path:
        self.downloads += 1
        return super().fetch(version, *arguments, **options)


@dataclasses.dataclass
class Deployment:
    """Three models, of which each is there and live, and the stores that were opened."""

    models: Models
    stores: dict[str, Opened]
    size: int  # bytes of one model
    made: dict[str, LiveModel] = dataclasses.field(default_factory=dict)

    def used(self, name: str) -> LiveModel:
        model = self.made[name] = self.models.get(name)
        model.current()
        return model

    def in_memory(self) -> set[str]:
        for thread in threading.enumerate():
            if thread.name == "refresh":
                thread.join(30)
        made = {"demo": self.models.default, **self.made}
        return {name for name, model in made.items() if model.bytes()}


@pytest.fixture
def publish(bucket: str, tiny_artifact: Path, tmp_path: Path) -> Callable[..., str]:
    """The first version under the name of another model, published and live."""

    def published(name: str, day: int = 1) -> str:
        directory = Path(shutil.copytree(tiny_artifact, tmp_path / f"{name}{day}"))
        created = f"2020-01-{day:02}T00:00:00Z"
        manifest = dataclasses.replace(read_manifest(directory), version="", model=name, created=created)
        (directory / MANIFEST).write_bytes(manifest.to_json())
        store = Store(bucket, name)
        version = store.publish(directory)
        store.promote(version, by="ada", why="because")
        return version

    return published


@pytest.fixture
def deployed(
    bucket: str, publish: Callable[..., str], scratch: Scratch, clock: Any, live_logs: Any, settled: Callable[[], None]
) -> Callable[[float], Deployment]:
    """A deployment whose budget holds so many of its three models."""
    for name in ("demo", "reviews", "tickets"):
        publish(name)

    def made(fitting: float) -> Deployment:
        stores: dict[str, Opened] = {}

        def open_store(name: str) -> Opened:
            stores[name] = Opened(bucket, name)
            return stores[name]

        settings = Settings(model="demo", model_bucket=bucket, models="reviews, tickets,demo", model_memory_mb=1)
        logger = Logger(service=f"models{fitting}", stream=live_logs.stream)
        models = Models(settings, open_store, scratch, logger, clock=clock)
        models.default.current()
        size = models.default.bytes()
        models.budget = int(fitting * size)
        return Deployment(models, stores, size)

    return made


def test_the_default_model_comes_first_and_each_name_once(deployed: Callable[[float], Deployment]) -> None:
    assert deployed(3).models.names() == ["demo", "reviews", "tickets"]


def test_a_model_is_opened_when_it_is_first_asked_for(deployed: Callable[[float], Deployment]) -> None:
    deployment = deployed(3)
    assert [*deployment.stores] == ["demo"]
    reviews = deployment.used("reviews")
    assert reviews.current().manifest.model == "reviews"
    assert [*deployment.stores] == ["demo", "reviews"]
    assert deployment.used("reviews") is reviews
    assert deployment.stores["reviews"].downloads == 1
    assert deployment.models.get("demo") is deployment.models.default


@pytest.mark.parametrize("name", ["other", "", "../demo", "Demo"])
def test_a_model_that_is_not_listed_is_unknown_and_those_there_are_are_named(
    deployed: Callable[[float], Deployment], publish: Callable[..., str], name: str
) -> None:
    publish("other")  # it is in the store, and not in this deployment
    deployment = deployed(3)
    with pytest.raises(UnknownResource) as caught:
        deployment.models.get(name)
    assert repr(name) in caught.value.detail
    assert caught.value.field == "model"
    assert all(known in caught.value.remedy for known in ("'demo'", "'reviews'", "'tickets'"))
    assert [*deployment.stores] == ["demo"]


def test_a_single_model_is_named_alone(settings: Settings, bucket: str, scratch: Scratch, live_logs: Any) -> None:
    logger = Logger(service="single", stream=live_logs.stream)
    models = Models(settings, lambda name: Store(bucket, name), scratch, logger)
    with pytest.raises(UnknownResource) as caught:
        models.get("other")
    assert caught.value.remedy == "It is called 'demo'."


def test_a_listed_model_without_a_version_is_unavailable_and_the_others_answer(
    bucket: str, publish: Callable[..., str], scratch: Scratch, live_logs: Any, settled: Callable[[], None]
) -> None:
    publish("demo")
    settings = Settings(model="demo", model_bucket=bucket, models="later")
    models = Models(
        settings, lambda name: Store(bucket, name), scratch, Logger(service="later", stream=live_logs.stream)
    )
    with pytest.raises(ModelUnavailable, match="'later'"):
        models.get("later").current()
    assert models.default.current().manifest.model == "demo"


def test_what_fits_stays(deployed: Callable[[float], Deployment]) -> None:
    deployment = deployed(3)
    for name in ("reviews", "tickets", "reviews"):
        deployment.used(name)
    assert deployment.in_memory() == {"demo", "reviews", "tickets"}
    assert [store.downloads for store in deployment.stores.values()] == [1, 1, 1]


def test_the_least_recently_used_model_goes_whole(
    deployed: Callable[[float], Deployment], scratch: Scratch, live_logs: Any
) -> None:
    deployment = deployed(2.5)
    deployment.used("reviews")
    deployment.used("tickets")
    assert deployment.in_memory() == {"demo", "tickets"}
    assert {path.parent.name for path in scratch.folder.glob("*/*")} == {"demo", "tickets"}
    (record,) = live_logs.of("model unloaded")
    assert (record["model"], record["bytes"]) == ("reviews", deployment.size)
    deployment.used("reviews")
    assert deployment.in_memory() == {"demo", "reviews"}
    assert deployment.stores["reviews"].downloads == 2


def test_the_last_used_model_stays_however_small_the_budget_and_goes_when_another_is_used(
    deployed: Callable[[float], Deployment],
) -> None:
    deployment = deployed(0.5)
    deployment.used("reviews")
    assert deployment.in_memory() == {"demo", "reviews"}
    deployment.used("tickets")
    assert deployment.in_memory() == {"demo", "tickets"}
    deployment.used("demo")
    assert deployment.in_memory() == {"demo"}


def test_of_the_default_model_only_what_is_addressed_by_name_goes(
    deployed: Callable[[float], Deployment], publish: Callable[..., str]
) -> None:
    deployment = deployed(2.5)
    before = deployment.models.default.loaded()
    publish("demo", day=2)
    deployment.models.default.expire()
    deployment.models.default.version(before[0])
    assert len(deployment.models.default.loaded()) == 2
    deployment.used("reviews")
    assert deployment.in_memory() == {"demo", "reviews"}
    assert len(deployment.models.default.loaded()) == 1


def test_a_candidate_counts(
    deployed: Callable[[float], Deployment], publish: Callable[..., str], bucket: str, clock: Any
) -> None:
    deployment = deployed(2.5)
    deployment.used("reviews")
    (first,) = deployment.models.default.loaded()
    store = Store(bucket, "demo")
    publish("demo", day=2)
    store.rollback(by="ada", why="")
    store.canary(max(set(store.versions()) - {first}), 0.5, by="ada", why="")
    clock.advance(STALE)
    deployment.used("demo")
    assert deployment.in_memory() == {"demo"}, "reviews makes room for the candidate"
    assert deployment.models.default.bytes() == 2 * deployment.size


def test_every_model_follows_its_own_pointer(
    deployed: Callable[[float], Deployment], publish: Callable[..., str]
) -> None:
    deployment = deployed(3)
    before = deployment.used("reviews").current().manifest.version
    promoted = publish("reviews", day=2)
    deployment.models.expire()
    assert deployment.used("reviews").current().manifest.version == promoted != before
    assert deployment.used("demo").current().manifest.version != promoted


def test_requests_for_more_models_than_fit_are_all_answered(deployed: Callable[[float], Deployment]) -> None:
    deployment = deployed(1.5)

    def request(name: str) -> set[str]:
        answered = set()
        for _ in range(8):
            predictor = deployment.models.get(name).current()
            predictor.predict(["a good film"])
            answered.add(predictor.manifest.model)
        return answered

    with ThreadPoolExecutor(3) as threads:
        answers = threads.map(request, ("demo", "reviews", "tickets"))
        assert [*answers] == [{"demo"}, {"reviews"}, {"tickets"}]
    assert deployment.models.default.bytes() == deployment.size


@pytest.mark.parametrize(("setting", "memory", "budget"), [(0, "1024", 512), (0, "3538", 1769), (300, "1024", 300)])
def test_the_budget_is_what_is_set_or_half_of_the_function_s_memory(
    settings: Settings,
    bucket: str,
    scratch: Scratch,
    live_logs: Any,
    monkeypatch: pytest.MonkeyPatch,
    setting: int,
    memory: str,
    budget: int,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)
    settings = dataclasses.replace(settings, model_memory_mb=setting)
    logger = Logger(service="budget", stream=live_logs.stream)
    assert Models(settings, lambda name: Store(bucket, name), scratch, logger).budget == budget * MIB
