"""All that ``slipway status`` says: what serves, the figures of the span, alarms that are on, and the last jobs."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from model_build.operating.cloudwatch import Alarm
from model_build.operating.panels import Figures
from slipway.releases import Live


class Job(NamedTuple):
    """A batch job: ``done`` of ``rows``, which are None while nobody has counted them."""

    input: str
    state: str
    rows: int | None
    done: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class Now:
    """``version`` is "" where nothing is live; ``source`` says in words where the figures are from."""

    model: str
    stage: str
    source: str
    minutes: int
    live: Live | None
    figures: Figures
    alarms: Sequence[Alarm] = ()
    jobs: Sequence[Job] = ()

    @property
    def version(self) -> str:
        """The live version."""
        return self.live.version if self.live else ""

    def serving(self) -> list[str]:
        """What serves, and what is tried beside it, in words."""
        if self.live is None:
            return []
        at = f"{self.live.at[:16].replace('T', ' ')} UTC"  # of the last change, which a candidate's may be
        told = [
            f"{self.live.version} is live" + (f" since {at}" if self.live.action in ("promote", "rollback") else "")
        ]
        if self.live.canary:
            told.append(f"{self.live.canary.version} answers {100 * self.live.canary.weight:.4g}% as a canary")
        if self.live.shadow:
            told.append(f"{self.live.shadow.version} scores {100 * self.live.shadow.share:.4g}% as a shadow")
        return told

    def document(self) -> dict[str, Any]:
        """As JSON, in which what was not measured is null."""
        figures = {name: None if _is_nan(value) else value for name, value in self.figures._asdict().items()}
        return {
            "model": self.model,
            "stage": self.stage,
            "minutes": self.minutes,
            "source": self.source,
            "live": asdict(self.live) if self.live else None,
            **figures,
            "alarms": [alarm._asdict() for alarm in self.alarms],
            "jobs": [job._asdict() for job in self.jobs],
        }


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
