"""``slipway tune``: search for the best training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from model_build.commands.options import Config, Json, Overrides, answer, progress

if TYPE_CHECKING:
    from model_build.tuning.tune import Tuned


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(tune)


def tune(
    config: Config,
    trials: Annotated[int | None, typer.Option(min=1, help="How many in all; by default tune.trials.")] = None,
    out: Annotated[Path, typer.Option(help="What comes out is in <out>/<model>/tune.")] = Path("build"),
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train with different settings (tune.space), score each on dev, and write the best configuration.

    The test split is never looked at. A killed search goes on where it was; more --trials add to those that are done.
    """
    from model_build.config import read_config
    from model_build.stages import Build
    from model_build.tuning.tune import tune as run_tuning

    given = [*(overrides or []), *([f"tune.trials={trials}"] if trials else [])]
    settings = read_config(config, given)
    run = Build(
        config=settings,
        config_path=str(config),
        overrides=given,
        directory=out / settings.model / "tune",
        console=progress(as_json),
    )
    tuned = run_tuning(run)
    if not as_json:
        Console().print(_table(tuned))
    answer(
        as_json, tuned.to_dict(), f"{tuned.config}: dev score {tuned.best['score']:.4f} (trial {tuned.best['number']})"
    )


def _table(tuned: "Tuned") -> Table:
    """All trials, the best first."""
    keys = list(tuned.best["values"])
    names = [Column(key.replace(".", ".\u200b"), justify="right") for key in keys]
    first = [Column(name, justify="right") for name in ("trial", "dev score")]
    table = Table(*first, *names, "checks", "", box=None)
    for trial in sorted(tuned.trials, key=lambda t: (t["state"] != "complete", -(t["score"] or 0))):
        score = "-" if trial["score"] is None else f"{trial['score']:.4f}"
        values = [_shown(trial["values"], key) for key in keys]
        note = "best" if trial["number"] == tuned.best["number"] else trial["state"].replace("complete", "")
        style = "bold" if note == "best" else None
        table.add_row(str(trial["number"]), score, *values, str(len(trial["checks"])), note, style=style)
    return table


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "-")
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
