"""What a candidate may do worse than the live version, and how many requests it takes to say so."""

import itertools
from dataclasses import dataclass, fields
from typing import Self

from slipway.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The defaults are for a retrained model whose labels are the same.

    ``errors`` and ``disagreement`` are per cent. Raises SettingsError for a value out of its range.
    """

    errors: float = 1.0  # of its requests may fail more than of the live version's
    slowdown: float = 1.5  # times as long may the half of its requests take, and all but one of twenty
    disagreement: float = 10.0  # of the texts may get another label than from the live version
    requests: float = 100  # that it must have answered, and texts that must have been compared, before a step is good

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if type(value) not in (int, float) or not low <= value <= high:
                raise SettingsError(f"The bound {name}={value!r} cannot be kept.", remedy=f"Use {low:g} to {high:g}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``errors=2,slowdown=1.2``; what is not named has its default. Raises SettingsError.

        >>> Bounds.parse("disagreement=5, requests=50")
        Bounds(errors=1.0, slowdown=1.5, disagreement=5.0, requests=50.0)
        """
        given = dict(_pair(part) for part in text.split(",") if part.strip())
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in given if name not in known]:
            raise SettingsError(f"{unknown[0]!r} is no bound.", remedy=f"There are {', '.join(known)}.")
        return cls(**given)


_RANGES: dict[str, tuple[float, float]] = {
    "errors": (0, 100),
    "slowdown": (1, 100),
    "disagreement": (0, 100),
    "requests": (10, 1_000_000),
}


def parse_seconds(text: str) -> float:
    """A duration as people write it. Raises SettingsError.

    >>> parse_seconds("90s"), parse_seconds("10m"), parse_seconds("1.5h")
    (90.0, 600.0, 5400.0)
    """
    unit = _UNITS.get(text.strip()[-1:].lower())
    value = _number(text.strip()[:-1]) if unit else None
    if not unit or value is None:
        raise SettingsError(f"{text!r} is no duration.", remedy="Write 90s, 10m, 2h or 1d.")
    return value * unit


def parse_steps(text: str) -> list[float]:
    """Weights in per cent as parts of one: growing, and 100 at the end means that it is promoted. Raises SettingsError.

    >>> parse_steps("5,25,50,100")
    [0.05, 0.25, 0.5]
    """
    values = [_number(part) for part in text.split(",")]
    steps = [value / 100 for value in values if value is not None]
    if len(steps) < len(values) or steps[-1] != 1 or len(steps) > MOST_STEPS + 1:
        raise SettingsError(
            f"{text!r} are no steps.", remedy=f"Write at most {MOST_STEPS} percentages and then 100: 5,25,50,100."
        )
    if not all(0 < a < b for a, b in itertools.pairwise(steps)) or len(steps) < 2:
        raise SettingsError(f"The steps {text!r} do not grow.", remedy="Write them as 5,25,50,100.")
    return steps[:-1]


MOST_STEPS = 5  # with these, the longest bake stays under the 25,000 events of an execution
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _pair(part: str) -> tuple[str, float]:
    name, _, raw = part.partition("=")
    value = _number(raw)
    if value is None:
        raise SettingsError(f"{part.strip()!r} is no bound.", remedy="Write name=value, such as disagreement=5.")
    return name.strip(), value


def _number(raw: str) -> float | None:
    try:
        value = float(raw)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None
