"""The way from a body to its answer, without a socket."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from functions.endpoint import service as services
from functions.endpoint.engine import Engine
from functions.endpoint.errors import NotServing, QueueFull
from functions.endpoint.metrics import Metrics
from functions.endpoint.service import Call, Service
from slipway.requests import Parameters, PredictRequest
from slipway.settings.endpoint import EndpointSettings
from tests.conftest import tiny_rows

TEXTS = [row["text"] for row in tiny_rows(seed=5, count=30)]


def serving(engine: Engine, scene: Callable[[Service], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    """Play a scene with a service that has loaded."""

    async def play() -> Any:
        service = Service(EndpointSettings(**settings), Metrics(), open_engine=lambda *_: engine)
        await service.load()
        return await scene(service)

    return asyncio.run(play())


def labels(texts: list[str], threads: list[str] | None = None) -> Callable[[Engine], Call[list[str]]]:
    """A body whose answer is the labels; ``threads`` notes who read and wrote."""

    def note() -> None:
        if threads is not None:
            threads.append(threading.current_thread().name.partition("_")[0])

    def render(answers: Any) -> list[str]:
        note()
        return [answer.label for each in answers for answer in each]

    def parse(_: Engine) -> Call[list[str]]:
        note()
        return Call([PredictRequest(texts, Parameters(), "instances")], render)

    return parse


def test_large_bodies_are_read_and_written_beside_the_event_loop(engine: Engine) -> None:
    threads: list[str] = []
    serving(engine, lambda service: service.answer(labels(TEXTS, threads), 100))
    serving(engine, lambda service: service.answer(labels(TEXTS, threads), 100_000))
    assert threads == ["MainThread", "MainThread", "encode", "encode"]


def test_a_very_large_request_is_queued_in_slices_and_answered_in_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = serving(engine, lambda service: service.answer(labels(TEXTS), 1))
    monkeypatch.setattr(services, "_SLICE", 7)
    assert serving(engine, lambda service: service.answer(labels(TEXTS), 1)) == whole
    assert whole == [prediction_label(engine, text) for text in TEXTS]


def prediction_label(engine: Engine, text: str) -> str:
    (prediction,) = engine.predictor.predict([text])
    return engine.predictor.manifest.labels[int(prediction.probabilities.argmax())]


def test_bodies_in_memory_are_bounded_but_one_always_fits(engine: Engine) -> None:
    async def scene(service: Service) -> None:
        with service.holding(600 << 20), pytest.raises(QueueFull), service.holding(1):
            pass
        with service.holding(1):
            pass

    serving(engine, scene)


def test_nothing_is_answered_before_the_model_is_loaded_nor_ready_while_it_ends(engine: Engine) -> None:
    async def before() -> None:
        service = Service(EndpointSettings(), Metrics())
        with pytest.raises(NotServing, match="being loaded"):
            await service.answer(labels(TEXTS), 1)

    async def ending(service: Service) -> list[str]:
        service.drain(5.0)
        with pytest.raises(NotServing, match="ending"):
            await service.ready()
        answered: list[str] = await service.answer(labels(TEXTS[:1]), 1)
        return answered

    asyncio.run(before())
    assert len(serving(engine, ending)) == 1


def test_a_device_that_is_silent_for_long_is_asked_before_it_is_called_ready(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(service: Service) -> int:
        monkeypatch.setattr(services, "_STUCK_SECONDS", -1.0)
        batches = len(computed)
        service._batcher.running += 1  # one that does not come back
        await service.ready()
        return len(computed) - batches

    computed: list[int] = []
    monkeypatch.setattr(Metrics, "batch", lambda _, costs, __: computed.append(len(costs)))
    assert serving(engine, scene) == 1
