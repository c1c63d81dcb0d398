"""The same readings from CloudWatch, and the alarms there. Needs ListMetrics, GetMetricData and DescribeAlarms."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from model_build.operating.readings import STATISTICS, Readings, Span
from model_build.reporting.cost_cloudwatch import NAMESPACE

_QUERIES = 500  # of one GetMetricData


class Alarm(NamedTuple):
    """An alarm that is on, since when, and what it says."""

    name: str
    since: str
    says: str


def from_cloudwatch(client: Any, span: Span, *, service: str) -> Readings:
    """Readings of the metrics that CloudWatch has had of ``service`` in the last two weeks."""
    readings = Readings(span)
    wanted = [(metric, stat) for metric in _metrics(client, service) for stat in STATISTICS[metric["MetricName"]]]
    for first in range(0, len(wanted), _QUERIES):
        some = wanted[first : first + _QUERIES]
        for (metric, statistic), (times, values) in zip(some, _values(client, some, span), strict=True):
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"] if each["Name"] != "service"}
            series = [0.0 if statistic in ("Sum", "SampleCount") else math.nan] * span.steps
            for at, value in zip(times, values, strict=True):
                if (step := span.step(at.timestamp())) is not None:
                    series[step] = value
            readings.set(metric["MetricName"], dimensions, statistic, series)
    return readings


def alarms_on(client: Any, prefix: str) -> list[Alarm]:
    """The alarms whose names begin with ``prefix`` and that are on."""
    found = []
    for page in client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    ):
        for alarm in (*page.get("CompositeAlarms", []), *page.get("MetricAlarms", [])):
            if alarm["StateValue"] != "ALARM":  # moto gives all that have the prefix
                continue
            since = f"{alarm['StateUpdatedTimestamp']:%Y-%m-%d %H:%M}"
            found.append(Alarm(alarm["AlarmName"], since, alarm.get("AlarmDescription", "")))
    return found


def _metrics(client: Any, service: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_metrics").paginate(
        Namespace=NAMESPACE, Dimensions=[{"Name": "service", "Value": service}]
    )
    for page in pages:
        yield from (metric for metric in page["Metrics"] if metric["MetricName"] in STATISTICS)


def _values(client: Any, wanted: Any, span: Span) -> Iterator[tuple[list[datetime], list[float]]]:
    """Times and values of each of ``wanted``, in order."""
    queries: list[dict[str, Any]] = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {key: metric[key] for key in ("Namespace", "MetricName", "Dimensions")},
                "Period": span.seconds,
                "Stat": statistic,
            },
        }
        for number, (metric, statistic) in enumerate(wanted)
    ]
    found: dict[str, tuple[list[datetime], list[float]]] = {query["Id"]: ([], []) for query in queries}
    period = {"StartTime": datetime.fromtimestamp(span.start, UTC), "EndTime": datetime.fromtimestamp(span.end, UTC)}
    for page in client.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **period):
        for result in page["MetricDataResults"]:
            times, values = found[result["Id"]]
            times += result["Timestamps"]
            values += result["Values"]
    return iter(found.values())
