"""The dashboard's panels out of readings: the same as infra/dashboard.py has, as far as log lines tell them."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from model_build.operating.readings import Readings, Series, total, weighted_middle
from slipway.prices import REGION, read_prices

ABSTAINED = "(abstained)"  # the label that functions/predict/telemetry.py gives an abstention
_MOST = 8  # series of a panel; the rest is one
_HANDLER_MS = 0.36  # beside the answer itself, as `slipway cost` reckons
_BY_VERSION = ("model_version", "backend")
_CANDIDATES = {
    "requests that the canary failed at": "CanaryFailures",
    "texts that the shadow scored": "ShadowTexts",
    "with another label": "ShadowDisagreements",
    "requests that it failed at": "ShadowFailures",
}


class Panel(NamedTuple):
    """``series`` by name, one number a step, none above ``most``; ``stacked`` if they are counts or parts."""

    title: str
    unit: str
    series: Mapping[str, Series]
    stacked: bool = False
    most: float | None = None


class Figures(NamedTuple):
    """The whole span in few numbers. Milliseconds and dollars are NaN where nothing was answered."""

    requests: int
    texts: int
    tokens: int
    errors: int
    refusals: int
    requests_per_second: float
    error_part: float
    p50_ms: float
    p99_ms: float
    cold_starts: int
    dollars_a_million: float
    labels: dict[str, int]
    versions: dict[str, int]
    errors_by_kind: dict[str, int]
    refusals_by_kind: dict[str, int]
    gpu_texts: int
    fallbacks: dict[str, int]


def figures(readings: Readings, *, memory_mb: int) -> Figures:
    """``memory_mb`` is what the function runs with: the price goes by it."""
    answered, texts = total(readings.of("Latency", "SampleCount")), total(readings.of("Texts"))
    errors, refusals = total(readings.of("Errors")), total(readings.of("Refusals"))
    requests = answered + errors + refusals
    weights = readings.of("Latency", "SampleCount")
    return Figures(
        requests=int(requests),
        texts=int(texts),
        tokens=int(total(readings.of("Tokens"))),
        errors=int(errors),
        refusals=int(refusals),
        requests_per_second=requests / (readings.span.seconds * readings.span.steps),
        error_part=errors / requests if requests else 0.0,
        p50_ms=weighted_middle(readings.of("Latency", "p50"), weights),
        p99_ms=max((v for v in readings.of("Latency", "p99") if not math.isnan(v)), default=math.nan),
        cold_starts=int(total(readings.of("ColdStart", "SampleCount"))),
        dollars_a_million=_dollars(answered, total(readings.of("Latency")), texts, memory_mb),
        labels=_totals(readings.by(("label",), "Labels")),
        versions=_totals(readings.by(_BY_VERSION, "Latency", "SampleCount")),
        errors_by_kind=_totals(readings.by(("kind",), "Errors")),
        refusals_by_kind=_totals(readings.by(("kind",), "Refusals")),
        gpu_texts=int(total(readings.of("GpuTexts"))),
        fallbacks=_totals(readings.by(("kind",), "GpuFallbacks")),
    )


def panels(readings: Readings, *, memory_mb: int) -> list[Panel]:
    """Every panel, also those without a number: that nothing fell back is news too."""
    of, by = readings.of, readings.by
    errors = {f"5xx {kind}": series for kind, series in by(("kind",), "Errors").items()}
    errors |= {f"4xx {kind}": series for kind, series in by(("kind",), "Refusals").items()}
    candidates = {name: by(("model_version",), metric) for name, metric in _CANDIDATES.items()}
    answered = of("Latency", "SampleCount")
    encode = _each(_part, of("Encode"), answered)
    whole = _each(_part, of("Latency"), answered)
    gpu = of("GpuTexts")
    cpu = _each(lambda texts, there: max(0.0, texts - there), of("Texts"), gpu)
    cost = _each(lambda calls, ms, texts: _dollars(calls, ms, texts, memory_mb), answered, of("Latency"), of("Texts"))
    abstained = by(("label",), "Labels").get(ABSTAINED, [0.0] * readings.span.steps)
    return [
        Panel("Traffic", "requests", {"answered": answered, "5xx": of("Errors"), "4xx": of("Refusals")}, True),
        Panel("Texts", "texts", {"texts": of("Texts")}, True),
        Panel("Errors, by kind", "requests", _few(errors), True),
        Panel("Latency", "ms", {"p50": of("Latency", "p50"), "p99": of("Latency", "p99")}),
        Panel("Latency by stage, means", "ms", {"encode": encode, "run": _each(_less, whole, encode)}, True),
        Panel("Cold starts", "starts", {"starts": of("ColdStart", "SampleCount")}, True),
        Panel("Cost of a million texts", "$", {"$": cost}),
        Panel("Label mix", "texts", _few(by(("label",), "Labels")), True),
        Panel("Confidence", "", {name: of("Confidence", name) for name in ("p10", "p50", "p90")}, most=1),
        Panel("Abstentions", "%", {"of texts": _each(_percent, abstained, of("Texts"))}),
        Panel("Requests, by version and backend", "requests", _few(by(_BY_VERSION, "Latency", "SampleCount")), True),
        Panel("CPU and GPU", "texts", {"CPU": cpu, "GPU": gpu}, True),
        Panel("Fallbacks to the CPU, by kind", "requests", _few(by(("kind",), "GpuFallbacks")), True),
        Panel("Canary and shadow", "", {name: _sum(found) for name, found in candidates.items() if found}),
    ]


def _dollars(calls: float, milliseconds: float, texts: float, memory_mb: int) -> float:
    """A million texts, without cold starts and logs; NaN if there was none. ``milliseconds`` are of all calls."""
    if not (calls and texts):
        return math.nan
    prices = read_prices(region=REGION)
    seconds = calls * math.ceil(milliseconds / calls + _HANDLER_MS) / 1000
    compute = seconds * memory_mb / 1024 * prices["lambda_gb_second_x86_64"]
    each = (prices["lambda_million_requests"] + prices["rest_api_million_requests"]) / 1e6
    return (compute + calls * each) / texts * 1e6


def _each(combine: Callable[..., float], *series: Series) -> Series:
    return [combine(*values) for values in zip(*series, strict=True)]


def _part(whole: float, count: float) -> float:
    return whole / count if count else math.nan


def _less(whole: float, part: float) -> float:
    return whole - part


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else math.nan


def _sum(found: Mapping[str, Series]) -> Series:
    return [sum(values) for values in zip(*found.values(), strict=True)]


def _totals(found: Mapping[str, Series]) -> dict[str, int]:
    return {name: int(total(series)) for name, series in found.items() if total(series)}


def _few(found: Mapping[str, Series]) -> dict[str, Series]:
    """The largest, and all others as one."""
    names = list(found)
    few = {name: found[name] for name in names[:_MOST]}
    return few | ({f"{len(names) - _MOST} others": _sum({n: found[n] for n in names[_MOST:]})} if names[_MOST:] else {})
