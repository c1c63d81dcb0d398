"""The one way from a body to its answer, for HTTP and gRPC alike: parse, encode, queue, compute, render.

Bodies that are more than a few texts are parsed, encoded and rendered in threads: the event loop never waits for them.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Generic, TypeVar

from functions.endpoint.batching import Batcher
from functions.endpoint.deadlines import Deadlines
from functions.endpoint.engine import Engine, OpenEngine, open_engine, warm_up
from functions.endpoint.errors import NotServing, QueueFull
from functions.endpoint.logs import log, log_crash
from functions.endpoint.metrics import Metrics
from slipway.answers import Answer, answer
from slipway.encoding import Encoded
from slipway.predictor import Prediction
from slipway.requests import PredictRequest, check_tokens
from slipway.settings.endpoint import EndpointSettings

_INLINE_BYTES = 2_048  # a body of so many is parsed and encoded in less time than a thread takes to wake up twice
_BYTES_HELD = 512 << 20  # of bodies, or one that is larger
_SLICE = 8_192  # texts that are queued in one go: the loop does nothing else meanwhile
_STUCK_SECONDS = 10.0  # since the last batch came back, while others are out
_PROBE_SECONDS = 1.5  # SageMaker gives /ping two

Rendered = TypeVar("Rendered")


@dataclass(frozen=True, slots=True)
class Call(Generic[Rendered]):
    """What a body asks, and how its answers are written: ``render`` takes the answers of each request."""

    requests: Sequence[PredictRequest]
    render: Callable[[Sequence[Sequence[Answer]]], Rendered]


Parse = Callable[[Engine], Call[Rendered]]


class Service:
    """A model that is being loaded, serves, or is on its way out. Belongs to one event loop."""

    def __init__(
        self,
        settings: EndpointSettings,
        metrics: Metrics,
        *,
        open_engine: OpenEngine = open_engine,
    ) -> None:
        self.draining = False  # requests are taken, and should go elsewhere
        self.closing = False  # nobody can connect any more
        self.deadlines = Deadlines()
        self._settings = settings
        self._metrics = metrics
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._held = 0  # bytes
        self._failing = False
        self._last_batch = 0.0  # when one came back
        self._threads = ThreadPoolExecutor(os.cpu_count(), "encode")
        self._runners = ThreadPoolExecutor(settings.batches_in_flight, "run")

    async def load(self) -> None:
        """Open the model and answer a golden example by the way that requests go. Until then nothing is served.

        Raises ArtifactError, ModelUnavailable or SettingsError.
        """
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        engine = await loop.run_in_executor(self._runners, self._open)
        self._last_batch = loop.time()
        compute = partial(self._compute, engine)
        self._batcher = batcher = Batcher(compute, engine.bounds, waited=self._metrics.waited)
        await self._probe(engine, self._settings.request_seconds)
        manifest = engine.predictor.manifest
        self._metrics.serve(manifest.model, manifest.version, engine.backend)
        self._metrics.watch("queue_texts", "Texts that wait.", lambda: batcher.waiting)
        self._metrics.watch("queue_tokens", "Their tokens.", lambda: batcher.waiting_tokens)
        self._metrics.watch("batches_in_flight", "Batches that are being computed.", lambda: batcher.running)
        self._engine = engine
        seconds = round(time.perf_counter() - started, 3)
        log("serving", model=manifest.model, model_version=manifest.version, backend=engine.backend, seconds=seconds)

    @property
    def engine(self) -> Engine:
        """Raises NotServing until the model is loaded."""
        if self._engine is None:
            raise NotServing("The model is being loaded.", remedy="Try again in a few seconds.")
        return self._engine

    def drain(self, seconds: float) -> None:
        """From now on this is no place to send requests to. Those that come all the same are answered, as are those
        under way, within ``seconds``.
        """
        self.draining = True
        self.deadlines.bring_forward(seconds)

    async def ready(self) -> Engine:
        """What serves. After a batch that failed or does not come back, a golden example is computed now.

        Raises NotServing, or why that failed.
        """
        engine = self.engine
        if self.draining:
            raise NotServing("The process is ending.", remedy="Ask another one.")
        silent = asyncio.get_running_loop().time() - self._last_batch
        if self._failing or (self._batcher.running and silent > _STUCK_SECONDS):
            await self._probe(engine, _PROBE_SECONDS)
        return engine

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """A body of so many bytes is in memory. Raises QueueFull where too many are."""
        if self._held and self._held + size > _BYTES_HELD:
            raise QueueFull(f"Bodies of {self._held:,} bytes are being answered.", remedy="Try again later.")
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    async def answer(self, parse: Parse[Rendered], size: int) -> Rendered:
        """The rendered answer to what ``parse`` makes of a body of ``size`` bytes.

        Raises a RequestError, NotServing or QueueFull; whatever else it raises is this server's own fault.
        """
        engine = self.engine
        call, encoded = await self._off_loop(size, self._prepare, engine, parse)
        texts = [*chain.from_iterable(encoded)]
        predictions = []
        for start in range(0, len(texts), _SLICE):
            predictions += await self._batcher.submit(texts[start : start + _SLICE])
        rendered: Rendered = await self._off_loop(size, self._finish, engine, call, encoded, predictions)
        return rendered

    def _open(self) -> Engine:
        engine = self._open_engine(self._settings, lambda why: log("no GPU", reason=why))
        warm_up(engine)
        return engine

    async def _probe(self, engine: Engine, seconds: float) -> None:
        encoded = engine.predictor.encoder.encode([engine.predictor.manifest.golden[0].text])
        await self.deadlines.within(seconds, self._batcher.submit(encoded))

    async def _compute(self, engine: Engine, batch: Sequence[Encoded]) -> Sequence[Prediction]:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        try:
            predictions = await loop.run_in_executor(self._runners, engine.predictor.classify, batch)
        except Exception as error:
            self._failing = True
            self._metrics.failed_batch()
            log_crash(error)
            raise
        self._failing, self._last_batch = False, loop.time()
        self._metrics.batch([each.cost for each in batch], time.perf_counter() - started)
        return predictions

    async def _off_loop(self, size: int, work: Callable[..., Any], *arguments: Any) -> Any:
        if size <= _INLINE_BYTES:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _prepare(self, engine: Engine, parse: Parse[Rendered]) -> tuple[Call[Rendered], list[list[Encoded]]]:
        call = parse(engine)
        encoded = [
            engine.predictor.encoder.encode(r.texts, truncation=r.parameters.truncation, source=r.source)
            for r in call.requests
        ]
        tokens = sum(each.cost for each in chain.from_iterable(encoded))
        check_tokens(tokens, self._settings.max_request_tokens, call.requests[0].source)
        return call, encoded

    def _finish(
        self,
        engine: Engine,
        call: Call[Rendered],
        encoded: Sequence[Sequence[Encoded]],
        predictions: Sequence[Prediction],
    ) -> Rendered:
        left = iter(predictions)
        answers = []
        for request, texts in zip(call.requests, encoded, strict=True):
            own = [next(left) for _ in texts]
            answers.append(answer(own, engine.predictor.manifest, request.parameters))
            self._metrics.answered(answers[-1], sum(each.cost for each in texts))
        return call.render(answers)
