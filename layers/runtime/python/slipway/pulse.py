"""What the store keeps of a model's traffic: the rate of requests of the last whole minute, beside the live pointer."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Pulse:
    """``at`` is when it was taken, in seconds since 1970."""

    requests_per_second: float
    at: float

    def to_json(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, raw: bytes) -> Self | None:
        """What ``to_json`` gave; None for anything else, which is no reason not to answer a request.

        >>> Pulse.from_json(b'{"requests_per_second": 2.5, "at": 1e9}')
        Pulse(requests_per_second=2.5, at=1000000000.0)
        >>> Pulse.from_json(b"[]")
        """
        try:
            document = json.loads(raw)
            found = cls(float(document["requests_per_second"]), float(document["at"]))
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            return None
        return found if math.isfinite(found.requests_per_second) and math.isfinite(found.at) else None
