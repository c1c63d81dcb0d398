"""How fast GPUs were measured to be: from a file that a run on one wrote, or as it was given. Never a guess."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.prices import PriceError

_FORM = '{"by": "…", "measured": [{"instance": "ml.g5.xlarge", "tokens": 32, "texts_per_second": …, "latency_ms": …}]}'


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Texts of ``tokens`` that one instance answers a second at full use; how long a request takes, if that is known.

    ``by`` is what measured it.
    """

    instance: str
    tokens: int
    texts_per_second: float
    latency_ms: float | None = None
    by: str = "the command line"


def read_speeds(path: Path) -> list[Speed]:
    """What a run on GPUs measured. Raises PriceError if ``path`` holds no such thing."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return [_speed(entry, str(content.get("by", path.name)), path) for entry in content["measured"]]
    except OSError as error:
        raise PriceError(f"{path} cannot be read: {error.strerror}.") from error
    except KeyError as error:
        raise PriceError(f"{path} lacks the key {error}.", remedy=f"Its form is {_FORM}.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise PriceError(f"{path} holds no measurements of GPUs.", remedy=f"Its form is {_FORM}.") from error


def parse_speed(given: str, tokens: int) -> Speed:
    """``INSTANCE=TEXTS_PER_SECOND``, for texts of ``tokens``.

    >>> parse_speed("ml.g5.xlarge=4100", 32).texts_per_second
    4100.0
    """
    instance, _, number = given.partition("=")
    try:
        return Speed(instance=instance, tokens=tokens, texts_per_second=_positive(float(number), "texts a second"))
    except ValueError as error:
        remedy = "Write it as ml.g5.xlarge=4100, in texts a second."
        raise PriceError(f"--gpu {given!r} is no measurement.", remedy=remedy) from error


def of_length(speeds: Sequence[Speed], tokens: int, path: Path) -> list[Speed]:
    """Those for texts of ``tokens``. Raises PriceError if there are only others."""
    found = [speed for speed in speeds if speed.tokens == tokens]
    if speeds and not found:
        measured = ", ".join(map(str, sorted({speed.tokens for speed in speeds})))
        raise PriceError(
            f"{path.name} has texts of {measured} tokens and none of {tokens}, which GPUs are compared at.",
            remedy="Give --lengths with one of them in the middle.",
        )
    return found


def _speed(entry: dict[str, Any], by: str, path: Path) -> Speed:
    latency = entry.get("latency_ms")
    return Speed(
        instance=str(entry["instance"]),
        tokens=int(entry["tokens"]),
        texts_per_second=_positive(entry["texts_per_second"], f"texts_per_second in {path.name}"),
        latency_ms=None if latency is None else _positive(latency, f"latency_ms in {path.name}"),
        by=by,
    )


def _positive(value: float, what: str) -> float:
    if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise PriceError(f"{what} is {value!r}: it has to be a number above zero.")
    return float(value)
