"""``slipway promote VERSION --canary 5 --bake 10m``: a canary that grows, or is withdrawn, by itself."""

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from model_build.commands.options import answer
from model_build.commands.store_tables import percent
from slipway.bakes.bounds import Bounds, parse_seconds, parse_steps
from slipway.bakes.plan import Bake, check_times, check_weights
from slipway.bakes.starting import find_workflow, start
from slipway.bakes.turn import withdraw
from slipway.errors import SettingsError, StoreError
from slipway.releases import Live
from slipway.store import Store

STEPS, PATIENCE = "5,25,50,100", "24h"

Time = Annotated[str | None, typer.Option(help="How long each step of the canary lasts at least, such as 10m.")]
Steps = Annotated[
    str | None, typer.Option(help=f"Per cent of the requests that it grows by, after --canary. [{STEPS}]")
]
Limits = Annotated[
    str | None,
    typer.Option(help="What it may do worse: errors=1,disagreement=10 (per cent), slowdown=1.5, requests=100."),
]
Patience = Annotated[
    str | None, typer.Option(help=f"How long a step waits for requests before it is given up. [{PATIENCE}]")
]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The options of a bake, read. ``weight`` is the first step's."""

    weight: float
    steps: tuple[float, ...]
    seconds: float
    patience: float
    bounds: Bounds

    @classmethod
    def read(
        cls, *, canary: float | None, bake: str | None, steps: str | None, bounds: str | None, patience: str | None
    ) -> "Wish | None":
        """None without ``bake``. Raises typer.BadParameter, before anything has changed."""
        if bake is None:
            options = {"--steps": steps, "--bounds": bounds, "--patience": patience}
            if useless := [name for name, value in options.items() if value is not None]:
                raise typer.BadParameter(f"{useless[0]} belongs to --bake: --canary 5 --bake 10m")
            return None
        if canary is None:
            raise typer.BadParameter("--bake belongs to --canary: --canary 5 --bake 10m")
        try:
            seconds = parse_seconds(bake)
            wish = cls(
                weight=canary / 100,
                steps=tuple(step for step in parse_steps(STEPS if steps is None else steps) if step > canary / 100),
                seconds=seconds,
                patience=max(parse_seconds(patience or PATIENCE), seconds),
                bounds=Bounds.parse(bounds or ""),
            )
            check_weights((wish.weight, *wish.steps))
            check_times(wish.seconds, wish.patience)
        except SettingsError as error:
            raise typer.BadParameter(str(error)) from error
        return wish

    def of(self, pointer: Live, *, by: str) -> Bake:
        """The bake of the canary that ``pointer`` has."""
        return Bake.begun(
            pointer,
            now=time.time(),
            steps=self.steps,
            seconds=self.seconds,
            patience=self.patience,
            bounds=self.bounds,
            by=by,
        )


def bake_canary(store: Store, version: str, wish: Wish, *, bucket: str, by: str, why: str) -> tuple[Live, Bake]:
    """Begin the canary and the workflow that watches it; a canary that nobody would watch is withdrawn at once.

    Raises StoreError if the deployment has no such workflow or it cannot be started.
    """
    workflow = find_workflow(bucket, store.model)
    live = store.canary(version, wish.weight, by=by, why=why)
    bake = wish.of(live, by=by)
    try:
        start(workflow, bake)
    except StoreError:
        withdraw(store, live, by=by, why="its bake could not be started")
        raise
    return live, bake


def report_bake(as_json: bool, model: str, live: Live, bake: Bake) -> None:
    """What holds now, and what will happen."""
    document: dict[str, Any] = {**json.loads(live.to_json()), "bake": bake.to_dict()}
    answer(as_json, document, f"{model} {live.version} is live\n{_told(bake)}")


def _told(bake: Bake) -> str:
    weights = " → ".join([*(percent(weight) for weight in (bake.weight, *bake.steps)), "live"])
    bounds = bake.bounds
    return (
        f"{bake.version} answers {percent(bake.weight)} of the requests as a canary\n"
        f"it bakes by itself: {weights}, each step {bake.seconds:g} s and until {bounds.requests:g} requests are "
        f"counted, at most {bake.patience / 3600:.3g} h\n"
        f"it is withdrawn if {bounds.errors:g} % of its requests fail beyond the live version's, if it takes "
        f"{bounds.slowdown:g} times as long, or if {bounds.disagreement:g} % of the texts get another label\n"
        "`slipway history` says what became of it; `slipway rollback` ends it"
    )
