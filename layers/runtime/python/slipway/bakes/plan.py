"""One bake as Step Functions carries it from turn to turn: its steps, its bounds, and where it is. No I/O."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from slipway.bakes.bounds import MOST_STEPS, Bounds
from slipway.errors import SettingsError
from slipway.releases import Canary, Live

State = Literal["going", "promoted", "withdrawn", "overtaken"]
LONGEST_STEP, LONGEST_PATIENCE = 12 * 3_600.0, 48 * 3_600.0  # seconds
_A_STEP_S_LOOKS = 20
_LONGEST_PAUSE, _LONGEST_WHILE_WAITING = 300.0, 600.0  # seconds: an execution may have 25,000 events


def check_weights(weights: Sequence[float]) -> None:
    """Raises SettingsError unless they grow, below 1, and are not too many."""
    if len(weights) > MOST_STEPS or not all(0 < a < b for a, b in itertools.pairwise((*weights, 1.0))):
        given = ", ".join(f"{100 * weight:g} %" for weight in weights)
        remedy = f"Use 1 to {MOST_STEPS} growing steps below 100."
        raise SettingsError(f"A canary does not grow by {given}.", remedy=remedy)


def check_times(seconds: float, patience: float) -> None:
    """Of a step. Raises SettingsError."""
    for name, value, least, most in (
        ("time", seconds, 1.0, LONGEST_STEP),
        ("patience", patience, seconds, LONGEST_PATIENCE),
    ):
        if not least <= value <= most:
            raise SettingsError(f"The {name} of a step cannot be {value:g} s.", remedy=f"Use {least:g} to {most:g} s.")


@dataclass(frozen=True, kw_only=True)
class Bake:
    """``version`` answers ``weight`` of the requests beside ``live`` since ``started``, in seconds since 1970.

    ``at`` is the pointer's own time. ``steps`` are the weights that are to come; after the last one it is promoted. A
    step lasts ``seconds``, and longer where too little is known, up to ``patience``. ``pause`` is until the next look,
    in whole seconds: Step Functions waits for no others.
    Raises SettingsError for values that no bake has.
    """

    version: str
    live: str
    at: str
    started: float
    weight: float
    steps: tuple[float, ...]
    seconds: float
    patience: float
    by: str
    bounds: Bounds = field(default_factory=Bounds)
    pause: int = 1
    state: State = "going"
    why: str = ""

    def __post_init__(self) -> None:
        check_weights((self.weight, *self.steps))
        check_times(self.seconds, self.patience)

    @classmethod
    def begun(cls, pointer: Live, *, now: float, steps: tuple[float, ...], **options: Any) -> Self:
        """The bake of the canary that ``pointer`` has."""
        assert pointer.canary is not None  # noqa: S101  it was just put there
        return cls(
            version=pointer.canary.version,
            live=pointer.version,
            at=pointer.at,
            started=now,
            weight=pointer.canary.weight,
            steps=steps,
            **options,
        ).waiting(now)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_dict`` gave. Raises SettingsError, and TypeError for anything else."""
        steps, bounds = tuple(document["steps"]), Bounds(**document["bounds"])
        return cls(**{**document, "steps": steps, "bounds": bounds})

    def to_dict(self) -> dict[str, Any]:
        """For Step Functions."""
        return {**asdict(self), "steps": list(self.steps)}

    def holds(self, live: Live | None) -> bool:
        """Whether the pointer is still as this bake left it, but for a shadow, which is none of its business."""
        if live is None:
            return False
        return live.version == self.live and live.canary == Canary(self.version, self.weight)

    def waiting(self, now: float) -> Self:
        """Until the next look: a twentieth of the step, and longer once it has only requests to wait for."""
        pause = min(max(self.seconds / _A_STEP_S_LOOKS, 1.0), _LONGEST_PAUSE)
        elapsed = now - self.started
        if elapsed >= self.seconds:
            pause = min(max(pause, elapsed / 10), _LONGEST_WHILE_WAITING)
        return replace(self, pause=round(pause))

    def onto(self, pointer: Live, *, now: float) -> Self:
        """The step that ``pointer`` has begun: the next one, or the same again."""
        assert pointer.canary is not None  # noqa: S101  as above
        weight = pointer.canary.weight
        steps = tuple(step for step in self.steps if step > weight)
        return replace(self, weight=weight, steps=steps, at=pointer.at, started=now).waiting(now)

    def ended(self, state: State, why: str) -> Self:
        """No further turn."""
        return replace(self, state=state, why=why)
