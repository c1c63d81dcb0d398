"""Log lines in CloudWatch's Embedded Metric Format as the metrics that CloudWatch makes of them.

The local cloud keeps lines and makes no metrics. Lines come from anywhere: what is none of ours is passed over.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from model_build.operating.readings import STATISTICS, Readings, Series, Span, percentile

_Sample = tuple[str, tuple[tuple[str, str], ...]]  # metric and dimensions


def read_line(line: str) -> dict[str, Any] | None:
    """The JSON object that a line is, or None."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def from_lines(lines: Iterable[tuple[float, str]], span: Span, *, service: str) -> Readings:
    """Readings of the ``lines`` of ``service``, each with its time in seconds since 1970."""
    samples: dict[_Sample, list[list[float]]] = defaultdict(lambda: [[] for _ in range(span.steps)])
    for at, line in lines:
        document = read_line(line)
        step = span.step(at)
        if document is None or step is None or document.get("service") != service:
            continue
        for sample, values in _samples(document):
            samples[sample][step] += values
    readings = Readings(span)
    for (name, dimensions), steps in samples.items():
        for statistic in STATISTICS[name]:
            readings.set(name, dict(dimensions), statistic, _series(steps, statistic))
    return readings


def _samples(document: dict[str, Any]) -> Iterator[tuple[_Sample, list[float]]]:
    """Every metric that a document declares, by each of its sets of dimensions."""
    try:
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                pairs = tuple(sorted((name, str(document[name])) for name in names if name != "service"))
                for metric in directive["Metrics"]:
                    value = document[metric["Name"]]
                    values = [float(each) for each in (value if isinstance(value, list) else [value])]
                    if metric["Name"] in STATISTICS and all(map(math.isfinite, values)):
                        yield (metric["Name"], pairs), values
    except (KeyError, TypeError, ValueError, OverflowError):
        return


def _series(steps: list[list[float]], statistic: str) -> Series:
    if statistic == "SampleCount":
        return [float(len(values)) for values in steps]
    if statistic == "Sum":
        return [sum(values) for values in steps]
    return [percentile(values, float(statistic.removeprefix("p")) / 100) for values in steps]
