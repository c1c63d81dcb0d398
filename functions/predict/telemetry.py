"""What a request leaves behind: one log line and EMF metrics, with counts and versions and never a text."""

import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Slipway"

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class Served:
    """One answered request. ``milliseconds`` runs from the parsed event to the finished answer."""

    model_version: str
    backend: str
    labels: Sequence[str]
    tokens: int
    milliseconds: float


def record(served: Served) -> None:
    """Log and count an answered prediction request."""
    logger.info(
        "predicted",
        model_version=served.model_version,
        backend=served.backend,
        texts=len(served.labels),
        tokens=served.tokens,
        milliseconds=round(served.milliseconds, 2),
    )
    metrics.add_metric("Latency", MetricUnit.Milliseconds, served.milliseconds)
    metrics.add_metric("Texts", MetricUnit.Count, len(served.labels))
    metrics.add_metric("Tokens", MetricUnit.Count, served.tokens)
    metrics.flush_metrics()
    for label, count in Counter(served.labels).items():
        with single_metric("Labels", MetricUnit.Count, count, namespace=NAMESPACE) as metric:
            metric.add_dimension("label", label[:250])


def record_shadow(version: str, texts: int, disagreements: int, largest_difference: float) -> None:
    """Count where a shadow candidate would have answered otherwise."""
    logger.info("shadowed", model_version=version, texts=texts, disagreements=disagreements, largest=largest_difference)
    for name, value in (("ShadowTexts", texts), ("ShadowDisagreements", disagreements)):
        with single_metric(name, MetricUnit.Count, value, namespace=NAMESPACE) as metric:
            metric.add_dimension("model_version", version)


def record_error(status: int, error: Exception) -> None:
    """Log and count a request that was refused: its kind only, since the detail may quote a path or a field's name."""
    logger.warning("refused", status=status, kind=type(error).__name__)
    metrics.add_metric("Errors" if status >= 500 else "Refusals", MetricUnit.Count, 1)
    metrics.flush_metrics()


def record_crash(error: BaseException) -> None:
    """Log where an unforeseen error came from. Not its message: that may quote the text it stumbled over."""
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    logger.error("crashed", error_type=type(error).__name__, frames=frames[-8:])
