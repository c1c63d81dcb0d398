"""The log group of a deployment's serving function: found, read, followed."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from slipway.errors import SlipwayError

# CloudFormation's name for the log group of infra/predict_function.py; the local cloud has "/" for the last "-".
_GROUP = r"(?:.*/)?slipway-(?P<stage>.+)-{model}-api[-/]PredictServingLogs[^/]*"
_LATE = 5_000  # milliseconds: an event may come so much after one that is younger


class Deployed(NamedTuple):
    """A stage that a model is deployed in, and the log group of its serving function."""

    stage: str
    group: str


class ObserveError(SlipwayError):
    """A deployment cannot be observed."""


def find_deployed(client: Any, model: str, stage: str | None) -> Deployed:
    """The one deployment of ``model``, or that of ``stage``. Raises ObserveError if there is none, or several."""
    pattern = re.compile(_GROUP.format(model=re.escape(model)))
    found = []
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePattern=f"-{model}-api"):
        for group in page["logGroups"]:
            is_ours = pattern.fullmatch(group["logGroupName"])
            if is_ours and is_ours["stage"] == (stage or is_ours["stage"]):
                found.append(Deployed(is_ours["stage"], group["logGroupName"]))
    stages = sorted({each.stage for each in found})
    if not found:
        where = f"in the stage {stage!r} " if stage else ""
        raise ObserveError(
            f"No deployment of {model!r} {where}has logs here.", remedy="Check --model, --stage and AWS_REGION."
        )
    if len(stages) > 1:
        raise ObserveError(f"{model!r} is deployed in {', '.join(stages)}.", remedy="Choose one with --stage.")
    return found[-1]


def read_events(client: Any, group: str, *, start: float, end: float | None = None) -> Iterator[tuple[float, str]]:
    """Lines from ``start`` to before ``end``, each with its time; both in seconds since 1970."""
    span = {"startTime": int(start * 1000), **({"endTime": int(end * 1000)} if end else {})}
    for page in client.get_paginator("filter_log_events").paginate(logGroupName=group, **span):
        yield from ((event["timestamp"] / 1000, event["message"]) for event in page["events"])


def follow_events(
    client: Any,
    group: str,
    *,
    start: float,
    pause: float = 2.0,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[float, str]]:
    """Lines from ``start`` on, then each as it comes, for ever. A line that comes late is told late, and once."""
    newest, seen = int(start * 1000), dict[str, int]()
    while True:
        since = max(int(start * 1000), newest - _LATE)
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
            for event in page["events"]:
                key = event.get("eventId") or f"{event['logStreamName']} {event['timestamp']} {event['message']}"
                if key not in seen:
                    seen[key] = event["timestamp"]
                    newest = max(newest, event["timestamp"])
                    yield event["timestamp"] / 1000, event["message"]
        seen = {event: at for event, at in seen.items() if at >= newest - 2 * _LATE}
        wait(pause)
