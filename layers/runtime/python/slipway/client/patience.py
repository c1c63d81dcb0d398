"""How long a call waits, and how often and when it tries again."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

from slipway.client.errors import NotSent

# Throttled, or the service or the way to it failed. A 500 is a fault that would come again.
RETRIED = (429, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Bounds of one request, in seconds.

    ``read`` is the longest silence while an answer is awaited; API Gateway gives up after 29 s by itself. ``deadline``
    holds for all tries and pauses together; it is looked at between reads, so an answer that trickles can end one
    ``read`` after it. ``retries`` come after the first try.
    """

    connect: float = 5.0
    read: float = 35.0
    deadline: float = 90.0
    retries: int = 4
    first_pause: float = 0.5
    longest_pause: float = 20.0

    def __post_init__(self) -> None:
        """Raises NotSent for what is not positive; only ``retries`` may be 0."""
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if not value >= 0 or (value == 0 and name != "retries"):
                raise NotSent(f"{name} is {value!r}.", field=name, remedy="Give a positive number.")

    def pause(self, retry: int, retry_after: float, uniform: Callable[[float, float], float]) -> float:
        """Seconds before retry number ``retry``, from 0: a random part of a growing bound, after what the answer asked.

        This is "full jitter" of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: with a
        first pause of 0.5 s the bounds are 0.5, 1, 2, 4 … s. It is added to Retry-After, because everybody who was
        refused was told the same second.
        """
        return retry_after + uniform(0.0, min(self.longest_pause, self.first_pause * 2 ** min(retry, 60)))


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, which a test replaces."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform


def read_retry_after(headers: Message) -> float:
    """Seconds that the answer asks to wait, 0 if it does not; the header has seconds or a date (RFC 9110, 10.2.3).

    A date is compared with the answer's own, so that the clock of this machine may be wrong.
    """
    value = str(headers.get("Retry-After", "")).strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    until = _date(value)
    now = _date(str(headers.get("Date", ""))) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else 0.0


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year, an hour or a minute of many digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
