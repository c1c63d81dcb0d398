"""What /metrics shows, in Prometheus' format. SageMaker scrapes it where detailed observability is on."""

from collections import Counter as Tally
from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from slipway.answers import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """One registry a server, so that two servers in one process do not share their numbers."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, with the time of its beginning
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._model = Info("slipway_model", "What is served.", registry=registry)
        self._requests = Counter("slipway_requests", "Answered requests.", ("route", "status"), registry=registry)
        self._seconds = Histogram(
            "slipway_request_seconds",
            "From a request's head to its answer.",
            ("route",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._texts = Counter("slipway_texts", "Classified texts.", registry=registry)
        self._tokens = Counter("slipway_tokens", "Their tokens, as far as they were read.", registry=registry)
        self._labels = Counter("slipway_labels", "Answers by label.", ("label",), registry=registry)
        self._batch_texts = Histogram("slipway_batch_texts", "Texts of a batch.", registry=registry, buckets=_TEXTS)
        self._batch_seconds = Histogram(
            "slipway_batch_seconds", "Seconds that a batch took.", registry=registry, buckets=_SECONDS
        )
        self._padded = Counter("slipway_padded_tokens", "Tokens of batches, padding included.", registry=registry)
        self._failed = Counter("slipway_failed_batches", "Batches that could not be computed.", registry=registry)
        self._waited = Histogram(
            "slipway_queue_seconds", "Wait of the oldest text of a batch.", registry=registry, buckets=_SECONDS
        )

    def serve(self, model: str, version: str, backend: str) -> None:
        """From now on this is served."""
        self._model.info({"model": model, "model_version": version, "backend": backend})

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f"slipway_{name}", help_text, registry=self._registry).set_function(read)

    def request(self, route: str, status: int | str, seconds: float) -> None:
        """A request that ended: with a status of HTTP (499 where the caller hung up) or the name of one of gRPC."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def answered(self, answers: Sequence[Answer], tokens: int) -> None:
        """The texts of a request."""
        self._texts.inc(len(answers))
        self._tokens.inc(tokens)
        for label, count in Tally(answer.label or "(abstained)" for answer in answers).items():
            self._labels.labels(label).inc(count)

    def batch(self, costs: Sequence[int], seconds: float) -> None:
        """A computed batch, by the tokens of each of its texts."""
        self._batch_texts.observe(len(costs))
        self._batch_seconds.observe(seconds)
        self._padded.inc(len(costs) * max(costs))

    def failed_batch(self) -> None:
        """A batch that raised."""
        self._failed.inc()

    def waited(self, seconds: float) -> None:
        """How long the oldest text of a batch was in the queue."""
        self._waited.observe(seconds)

    def page(self) -> bytes:
        """All of it as text."""
        return generate_latest(self._registry)
