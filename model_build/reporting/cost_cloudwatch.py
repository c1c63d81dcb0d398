"""What a deployment's own metrics say of its requests: time, texts and tokens, as functions/predict counts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from model_build.reporting.cost_estimate import at_one_vcpu
from model_build.reporting.cost_work import Work
from slipway.prices import PriceError

NAMESPACE = "Slipway"
_HOUR = 3600
_WANTED = {
    "requests": ("Latency", "SampleCount"),
    "milliseconds": ("Latency", "Sum"),
    "p50": ("Latency", "p50"),
    "texts": ("Texts", "Sum"),
    "tokens": ("Tokens", "Sum"),
}


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """All predictions of ``service``, a model in a stage, in the last ``hours``.

    Milliseconds are a request's, from parsed event to answer. ``p50`` is the median of the hours' medians, each
    weighing as its requests: CloudWatch joins no percentiles.
    """

    service: str
    hours: int
    requests: int
    texts: int
    tokens: int
    mean_ms: float
    p50_ms: float

    def work(self, memory_mb: int) -> Work:
        """The mean request on one vCPU, if ``memory_mb`` is what it ran with: the bill is a sum, and so goes by means.

        The handler's own time is in it.
        """
        texts = self.texts / self.requests
        milliseconds = at_one_vcpu(self.mean_ms, memory_mb, texts)
        return Work(tokens=round(self.tokens / self.texts), texts=texts, milliseconds=milliseconds, overhead_ms=0.0)


def read_traffic(service: str, *, hours: int = 24, region: str | None = None) -> Traffic:
    """Read CloudWatch with the caller's own credentials. Raises PriceError if it cannot be, or holds nothing."""
    found = _read(service, hours, region)
    requests, milliseconds, texts, tokens = (sum(found[name].values()) for name in _WANTED if name != "p50")
    if not (requests and texts):
        raise PriceError(
            f"CloudWatch has no predictions of {service!r} in the last {hours} h.",
            remedy="Check --region and the name, which is MODEL-STAGE, or look further back with --hours.",
        )
    return Traffic(
        service=service,
        hours=hours,
        requests=int(requests),
        texts=int(texts),
        tokens=int(tokens),
        mean_ms=round(milliseconds / requests, 4),
        p50_ms=round(_weighted_median(found["p50"], found["requests"]), 4),
    )


def _read(service: str, hours: int, region: str | None) -> dict[str, dict[datetime, float]]:
    """Values by hour, by the names of ``_WANTED``."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    end = datetime.now(UTC)
    span = {"StartTime": end - timedelta(hours=hours), "EndTime": end}
    found: dict[str, dict[datetime, float]] = {name: {} for name in _WANTED}
    try:
        pages = boto3.client("cloudwatch", region_name=region).get_paginator("get_metric_data")
        for page in pages.paginate(MetricDataQueries=[_query(name, service) for name in _WANTED], **span):
            for result in page["MetricDataResults"]:
                found[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
    except (BotoCoreError, ClientError) as error:
        raise PriceError(f"CloudWatch cannot be read: {error}.", remedy="It takes cloudwatch:GetMetricData.") from error
    return found


def _query(name: str, service: str) -> dict[str, Any]:
    metric, statistic = _WANTED[name]
    dimensions = [{"Name": "service", "Value": service}]
    described = {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": described, "Period": _HOUR, "Stat": statistic}}


def _weighted_median(values: Mapping[datetime, float], weights: Mapping[datetime, float]) -> float:
    """The value at which half of the weight is reached."""
    rest = sum(weights.get(hour, 0) for hour in values) / 2
    for hour in sorted(values, key=values.__getitem__):
        rest -= weights.get(hour, 0)
        if rest <= 0:
            return values[hour]
    return 0.0
