"""Series of numbers over time, by metric, statistic and dimensions: what CloudWatch keeps of a model."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Dimensions = tuple[tuple[str, str], ...]  # pairs of name and value, without the service
Series = list[float]  # a number a step; NaN where nothing was measured

# The statistics that are read of each metric of functions/predict/telemetry.py.
STATISTICS: Mapping[str, tuple[str, ...]] = {
    "Latency": ("SampleCount", "Sum", "p50", "p99"),
    "Encode": ("Sum",),
    "Texts": ("Sum",),
    "Tokens": ("Sum",),
    "Confidence": ("p10", "p50", "p90"),
    "Labels": ("Sum",),
    "Errors": ("Sum",),
    "Refusals": ("Sum",),
    "ColdStart": ("SampleCount", "Sum"),
    "GpuTexts": ("Sum",),
    "GpuFallbacks": ("Sum",),
    "ShadowTexts": ("Sum",),
    "ShadowDisagreements": ("Sum",),
    "ShadowDropped": ("Sum",),
    "ShadowFailures": ("Sum",),
    "CanaryFailures": ("Sum",),
}


@dataclass(frozen=True)
class Span:
    """``steps`` of ``seconds`` each from ``start``, in seconds since 1970."""

    start: float
    seconds: int
    steps: int

    @classmethod
    def until(cls, end: float, *, minutes: float, steps: int = 60) -> "Span":
        """The last ``minutes`` in at most so many steps of whole minutes, as CloudWatch keeps them.

        ``end`` is in the last of them.
        """
        seconds = 60 * math.ceil(minutes / steps)
        count = math.ceil(minutes * 60 / seconds)
        last = (math.floor(end / seconds) + 1) * seconds
        return cls(last - count * seconds, seconds, count)

    @property
    def end(self) -> float:
        """Where the last step ends."""
        return self.start + self.seconds * self.steps

    def step(self, at: float) -> int | None:
        """The step that a moment is in; None outside."""
        step = int((at - self.start) // self.seconds)
        return step if 0 <= step < self.steps else None


@dataclass
class Readings:
    """What was measured over ``span``; ``values`` by metric, dimensions and statistic."""

    span: Span
    values: dict[tuple[str, Dimensions, str], Series] = field(default_factory=dict)

    def of(self, name: str, statistic: str = "Sum", **dimensions: str) -> Series:
        """One series; of zeros where there is none of a sum, of NaN of any other statistic."""
        found = self.values.get((name, tuple(sorted(dimensions.items())), statistic))
        missing = 0.0 if statistic in ("Sum", "SampleCount") else math.nan
        return found or [missing] * self.span.steps

    def by(self, dimensions: Iterable[str], name: str, statistic: str = "Sum") -> dict[str, Series]:
        """The series of each value of these dimensions, the largest first."""
        wanted = tuple(sorted(dimensions))
        found = {
            " ".join(value for _, value in pairs): series
            for (metric, pairs, stat), series in self.values.items()
            if (metric, stat) == (name, statistic) and tuple(key for key, _ in pairs) == wanted
        }
        return dict(sorted(found.items(), key=lambda each: -total(each[1])))

    def set(self, name: str, dimensions: Mapping[str, str], statistic: str, series: Series) -> None:
        """Keep a series."""
        self.values[(name, tuple(sorted(dimensions.items())), statistic)] = series


def total(series: Sequence[float]) -> float:
    """The sum of what was measured."""
    return sum(value for value in series if not math.isnan(value))


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least ``part`` of ``values`` do not exceed; NaN of none.

    >>> percentile([3, 1, 2], 0.5)
    2
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def weighted_middle(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value at which half of the weight is reached: percentiles of steps join no other way."""
    known = sorted((value, weight) for value, weight in zip(values, weights, strict=True) if not math.isnan(value))
    rest = sum(weight for _, weight in known) / 2
    for value, weight in known:
        rest -= weight
        if rest <= 0:
            return value
    return math.nan
