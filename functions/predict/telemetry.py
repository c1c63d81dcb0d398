"""What a request leaves behind: lines of JSON for logs and metrics, with counts and versions and never a text."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from logging import LogRecord
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "Slipway"
_MILLISECONDS = "Milliseconds"

logger = Logger()
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_request: dict[str, Any] = {}
Names = tuple[str, ...]
Groups = tuple[tuple[Names, tuple[Names, ...]], ...]  # names of metrics, and each set of dimensions they are kept by
_KEPT = 1_000  # lines, by label and version
_MOST_VALUES = 100  # of one metric in a line: CloudWatch takes no more
_ANSWERED: Groups = (
    (("Latency",), ((), ("model_version", "backend"))),  # its samples by version and backend are their requests
    (("Encode", "Texts", "Tokens"), ((),)),
    (("Labels",), (("label",),)),
)
_SURE: Groups = (_ANSWERED[0], (("Encode", "Texts", "Tokens", "Confidence"), ((),)), _ANSWERED[2])
_UNITS = dict.fromkeys(("Latency", "Encode", "ColdStart"), _MILLISECONDS)  # of others none is told, which costs bytes


class Served(NamedTuple):
    """One answered request. ``milliseconds`` runs from the parsed event to the finished answer.

    Of it ``encode_ms`` went into token ids; the rest is the network's, or the wait for the GPU endpoint.
    ``confidences`` has the highest probability of each text, and is empty where the caller asked for raw scores.
    ``drift`` is JSON of ``functions.predict.watching``, or empty.
    """

    model_version: str
    backend: str
    labels: Sequence[str]
    tokens: int
    milliseconds: float
    encode_ms: float = 0.0
    confidences: Sequence[float] = ()
    drift: str = ""


def begin(correlation_id: str, context: "LambdaContext") -> bool:
    """From now on every line belongs to this request; whether it is this process's first.

    ``correlation_id`` is API Gateway's own.
    """
    first = not _request
    _request.update(
        cold_start=first,
        function_name=context.function_name,
        function_request_id=context.aws_request_id,
        correlation_id=correlation_id,
        xray_trace_id=os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=") or None,
    )
    return first


def _add_request(record: LogRecord) -> bool:
    """A filter that lets everything through: ``append_keys`` at each request is for nothing where it logs nothing."""
    vars(record).update(_request)
    return True


logger.registered_handler.addFilter(_add_request)


def record(served: Served) -> None:
    """Log and count an answered prediction request: in one line, if all of its texts have the same label."""
    (label, texts), *others = _counted(served.labels)
    told = _answered(label, served.model_version, served.backend, bool(served.confidences))
    times = f'"Latency":{served.milliseconds:.2f},"Encode":{served.encode_ms:.2f}'
    counts = f'"Texts":{len(served.labels)},"Tokens":{served.tokens},"Labels":{texts}'
    drift = f',"Drift":{served.drift}' if served.drift else ""
    _print(f"{told},{times},{counts}{_confidence(served.confidences)}{drift}{_request_members()}")
    for other, count in others:
        _count({"Labels": count}, label=_printable(other))


def record_shadow(version: str, texts: int, disagreements: int, largest_difference: float) -> None:
    """Count where a shadow candidate would have answered otherwise."""
    logger.info("shadowed", model_version=version, texts=texts, disagreements=disagreements, largest=largest_difference)
    counts = {"ShadowTexts": texts, "ShadowDisagreements": disagreements}
    _count(counts, model_version=version)


def record_shadow_loss(version: str, dropped: bool) -> None:
    """Count a sampled request that a shadow candidate did not score: dropped, or failed at."""
    _count({"ShadowDropped" if dropped else "ShadowFailures": 1}, model_version=version)


def record_canary_failure(version: str, error: Exception) -> None:
    """Log and count a request that a canary failed at, and that the live version was asked for instead."""
    from slipway.crashes import frames_of  # no start needs it

    logger.warning("canary failed", model_version=version, error_type=type(error).__name__, frames=frames_of(error))
    _count({"CanaryFailures": 1}, model_version=version)


def record_gpu(texts: int) -> None:
    """Count texts that the GPU endpoint answered; those of ``record`` are all."""
    _count({"GpuTexts": texts})


def record_fallback(kind: str, state: str) -> None:
    """Count a request that the CPU answers since the GPU endpoint did not: why, and the breaker's state after it."""
    if kind != "open":
        logger.warning("the GPU did not answer", kind=kind, breaker=state)
    _count({"GpuFallbacks": 1}, kind=kind)


def record_error(status: int, error: Exception) -> None:
    """Log and count a request that was refused: its kind only, since the detail may quote a path or a field's name."""
    logger.warning("refused", status=status, kind=type(error).__name__)
    name = "Errors" if status >= 500 else "Refusals"
    _print(_told((((name,), ((), ("kind",))),), kind=type(error).__name__) + f',"{name}":1')


def record_cold_start(milliseconds: float) -> None:
    """Count a process that has begun to answer, with how long it imported and loaded before."""
    _print(_told(((("ColdStart",), ((),)),)) + f',"ColdStart":{milliseconds:.1f}')


def record_crash(error: BaseException) -> None:
    """Log where an unforeseen error came from."""
    from slipway.crashes import frames_of  # no start needs it

    logger.error("crashed", error_type=type(error).__name__, frames=frames_of(error))


def _count(values: Mapping[str, int], **dimensions: str) -> None:
    """Print metrics by service and by these dimensions."""
    told = _told(((tuple(values), (tuple(dimensions),)),), **dimensions)
    _print(told + "".join([f',"{name}":{value}' for name, value in values.items()]))


def _print(told: str) -> None:
    """A line in CloudWatch's Embedded Metric Format, in one write.

    Powertools' Metrics does the same in several times the time, and a request has two groups (docs/decisions.md).
    """
    sys.stdout.write(f'{{"_aws":{{"Timestamp":{int(time.time() * 1e3)},{told}}}\n')
    sys.stdout.flush()


@lru_cache(maxsize=_KEPT)
def _answered(label: str, model_version: str, backend: str, sure: bool) -> str:
    about = {"level": "INFO", "message": "predicted", "model_version": model_version, "backend": backend}
    return _told(_SURE if sure else _ANSWERED, label=_printable(label), **about)


@lru_cache(maxsize=_KEPT)
def _told(groups: Groups, **members: str) -> str:
    """What thousands of lines share, as JSON: groups of metrics, each with its dimensions, and these members."""
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [["service", *dimensions] for dimensions in sets],
            "Metrics": [{"Name": name, **({"Unit": _UNITS[name]} if name in _UNITS else {})} for name in names],
        }
        for names, sets in groups
    ]
    return f'"CloudWatchMetrics":{_to_json(directives)}}},{_to_json({"service": logger.service, **members})[1:-1]}'


def _request_members() -> str:
    """The request as JSON, after a comma: a text at a time, which is quicker than encoding it whole."""
    if not _request:
        return ""
    texts = [f',"{name}":{_quoted(value)}' for name, value in _request.items() if isinstance(value, str)]
    return f',"cold_start":{"true" if _request["cold_start"] else "false"}{"".join(texts)}'


def _confidence(confidences: Sequence[float]) -> str:
    """After a comma: one number, or a list of them."""
    if not confidences:
        return ""
    if len(confidences) == 1:
        return f',"Confidence":{confidences[0]:.3f}'
    return f',"Confidence":[{",".join([f"{each:.3f}" for each in confidences[:_MOST_VALUES]])}]'


def _counted(labels: Sequence[str]) -> list[tuple[str, int]]:
    """Each label with how often it is there, in the order of their first."""
    if len(labels) == 1:  # a Counter takes a hundredth of a millisecond
        return [(labels[0], 1)]
    return [*Counter(labels).items()]


def _printable(label: str) -> str:
    r"""CloudWatch drops a metric whose dimension is empty or has other than printable ASCII.

    >>> _printable("好\n"), _printable("")
    ('\\u597d\\n', '(abstained)')
    """
    return ascii(label)[1:-1][:250] if label else "(abstained)"
