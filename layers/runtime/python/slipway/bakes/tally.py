"""What is counted of a canary and of the live version beside it. Counts of many processes add up.

Times are a histogram for that reason: bucket ``n`` has what took from 2^(n/8) to 2^((n+1)/8) milliseconds, 9 % more.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

BUCKETS_A_DOUBLING = 8


@dataclass(kw_only=True)
class Tally:
    """Of one role: ``requests`` that it was asked for, ``failures`` among them, ``times`` as requests by bucket.

    A time is counted only where the CPU answered: ``times`` may have fewer than ``requests``.
    """

    requests: int = 0
    failures: int = 0
    times: dict[int, int] = field(default_factory=dict)

    def note(self, milliseconds: float | None) -> None:
        """Count an answered request; without a time if there is none to compare."""
        self.requests += 1
        if milliseconds is not None:
            bucket = bucket_of(milliseconds)
            self.times[bucket] = self.times.get(bucket, 0) + 1

    def fail(self) -> None:
        """Count a request that it did not answer."""
        self.requests += 1
        self.failures += 1

    def timed(self) -> int:
        """Requests with a time."""
        return sum(self.times.values())

    def quantile(self, part: float) -> int:
        """The bucket in which the ``part`` of the times lies; there must be one.

        >>> Tally(times={0: 5, 8: 4, 24: 1}).quantile(0.5), Tally(times={0: 5, 8: 4, 24: 1}).quantile(0.95)
        (0, 24)
        """
        left = part * self.timed()
        for bucket in sorted(self.times):
            left -= self.times[bucket]
            if left <= 0:
                break
        return bucket

    def at_least(self, bucket: int) -> int:
        """Requests whose time is in ``bucket`` or above."""
        return sum(count for other, count in self.times.items() if other >= bucket)


@dataclass(kw_only=True)
class Counts:
    """Of one canary beside one live version.

    ``compared`` texts the canary answered and the live version was asked for afterwards; ``disagreements`` of them got
    another label from it. ``refused`` says why a process does not load the canary.
    """

    live: Tally = field(default_factory=Tally)
    canary: Tally = field(default_factory=Tally)
    compared: int = 0
    disagreements: int = 0
    refused: str = ""

    def to_json(self) -> bytes:
        """For the bucket."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> "Counts | None":
        """What ``to_json`` gave; None for anything else: one damaged record must not stop a bake.

        >>> Counts.from_json(b"[]")
        """
        try:
            content = json.loads(raw)
            return cls(
                live=_tally(content["live"]),
                canary=_tally(content["canary"]),
                compared=_count(content["compared"]),
                disagreements=_count(content["disagreements"]),
                refused=str(content["refused"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def add(records: Iterable[Counts]) -> Counts:
    """All of them as one."""
    total = Counts()
    for counts in records:
        for into, tally in ((total.live, counts.live), (total.canary, counts.canary)):
            into.requests += tally.requests
            into.failures += tally.failures
            for bucket, count in tally.times.items():
                into.times[bucket] = into.times.get(bucket, 0) + count
        total.compared += counts.compared
        total.disagreements += counts.disagreements
        total.refused = total.refused or counts.refused
    return total


def bucket_of(milliseconds: float) -> int:
    """From a microsecond up.

    >>> bucket_of(1), bucket_of(2), bucket_of(0.5)
    (0, 8, -8)
    """
    return math.floor(BUCKETS_A_DOUBLING * math.log2(max(milliseconds, 1e-3)))


def _tally(content: Mapping[str, Any]) -> Tally:
    times = {int(bucket): _count(count) for bucket, count in content["times"].items()}
    return Tally(requests=_count(content["requests"]), failures=_count(content["failures"]), times=times)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} counts nothing")
    return value
