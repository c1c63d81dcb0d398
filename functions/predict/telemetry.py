"""What a request leaves behind: lines of JSON for logs and metrics, with counts and versions and never a text."""

import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "Slipway"
_COUNT, _MILLISECONDS = "Count", "Milliseconds"

logger = Logger()
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_request: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Served:
    """One answered request. ``milliseconds`` runs from the parsed event to the finished answer."""

    model_version: str
    backend: str
    labels: Sequence[str]
    tokens: int
    milliseconds: float


def begin(correlation_id: str, context: LambdaContext) -> None:
    """From now on every line belongs to this request. ``correlation_id`` is API Gateway's own."""
    _request.update(
        cold_start=not _request,
        function_name=context.function_name,
        function_request_id=context.aws_request_id,
        correlation_id=correlation_id,
        xray_trace_id=os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=") or None,
    )
    logger.append_keys(**_request)


def record(served: Served) -> None:
    """Log and count an answered prediction request: in one line, if all of its texts have the same label."""
    values = {"Latency": round(served.milliseconds, 2), "Texts": len(served.labels), "Tokens": served.tokens}
    (label, texts), *others = Counter(served.labels).items()
    _count(
        [(values, ()), ({"Labels": texts}, ("label",))],
        label=_printable(label),
        level="INFO",
        message="predicted",
        model_version=served.model_version,
        backend=served.backend,
        **_request,
    )
    for other, count in others:
        _count([({"Labels": count}, ("label",))], label=_printable(other))


def record_shadow(version: str, texts: int, disagreements: int, largest_difference: float) -> None:
    """Count where a shadow candidate would have answered otherwise."""
    logger.info("shadowed", model_version=version, texts=texts, disagreements=disagreements, largest=largest_difference)
    counts = {"ShadowTexts": texts, "ShadowDisagreements": disagreements}
    _count([(counts, ("model_version",))], model_version=version)


def record_shadow_loss(version: str, *, dropped: bool) -> None:
    """Count a sampled request that a shadow candidate did not score: dropped, or failed at."""
    _count([({"ShadowDropped" if dropped else "ShadowFailures": 1}, ("model_version",))], model_version=version)


def record_error(status: int, error: Exception) -> None:
    """Log and count a request that was refused: its kind only, since the detail may quote a path or a field's name."""
    logger.warning("refused", status=status, kind=type(error).__name__)
    _count([({"Errors" if status >= 500 else "Refusals": 1}, ())])


def record_crash(error: BaseException) -> None:
    """Log where an unforeseen error came from. Not its message: that may quote the text it stumbled over."""
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    logger.error("crashed", error_type=type(error).__name__, frames=frames[-8:])


def _count(groups: Sequence[tuple[Mapping[str, float], Sequence[str]]], **members: Any) -> None:
    """Print metrics in CloudWatch's Embedded Metric Format, each group by service and by those members it names.

    Powertools' Metrics does the same in several times the time, and a request has two groups (docs/decisions.md).
    """
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [["service", *dimensions]],
            "Metrics": [{"Name": name, "Unit": _MILLISECONDS if name == "Latency" else _COUNT} for name in values],
        }
        for values, dimensions in groups
    ]
    document = {
        "_aws": {"Timestamp": int(time.time() * 1e3), "CloudWatchMetrics": directives},
        "service": logger.service,
        **members,
    }
    for values, _ in groups:
        document.update(values)
    sys.stdout.write(_to_json(document) + "\n")
    sys.stdout.flush()


def _printable(label: str) -> str:
    r"""CloudWatch drops a metric whose dimension is empty or has other than printable ASCII.

    >>> _printable("好\n"), _printable("")
    ('\\u597d\\n', '(abstained)')
    """
    return ascii(label)[1:-1][:250] if label else "(abstained)"
