"""``slipway drift``: whether the texts that come are still those that the model was measured on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from model_build.commands.options import Bucket, Json, Model, answer
from slipway.drift.bins import Bins, baseline_counts
from slipway.drift.windows import Window, kept_windows, latest_windows
from slipway.errors import ArtifactError, StoreError
from slipway.store import Store

if TYPE_CHECKING:
    from slipway.artifact import Manifest

Hours = Annotated[int, typer.Option(min=1, max=2_160, help="Windows to look back on: one was kept an hour.")]
Function = Annotated[
    str | None,
    typer.Option(help="Have this function (the output DriftFunction) look at the last sixty minutes now, too."),
]
Plot = Annotated[Path, typer.Option(help="Where the plot goes, a PNG.")]
_WIDTH = 100  # of the table where nobody's terminal says


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(drift)


def drift(
    bucket: Bucket,
    model: Model,
    *,
    version: Annotated[str, typer.Option(help="A published version, or `live`.")] = "live",
    hours: Hours = 24,
    function: Function = None,
    plot: Plot = Path("drift.png"),
    as_json: Json = False,
) -> None:
    """Compare the API's texts with the baseline of the version that answered them: print the last window, plot all."""
    from model_build.reporting.drift_plot import plot_windows
    from model_build.reporting.drift_table import drift_table, said

    manifest = _manifest(Store(bucket, model), version)
    bins = Bins.of(manifest)
    if bins is None:
        raise ArtifactError(
            f"{model} {manifest.version} has no baseline to compare traffic with.", remedy="Build and promote it again."
        )
    windows = latest_windows(kept_windows(bucket, model), manifest.version, hours=hours)
    if function:
        windows.append(_look(function))
    if not windows:
        raise StoreError(
            f"No window of {model} {manifest.version} is kept yet.",
            remedy="One is at five past each hour; --function has one measured now.",
        )
    baseline = baseline_counts(manifest)
    plot.write_bytes(plot_windows(windows, bins, baseline))
    document = {"windows": [window.to_dict() for window in windows], "plot": str(plot)}
    if not as_json:
        console = Console()
        console = Console(width=None if console.is_terminal else _WIDTH, highlight=False)
        console.print(drift_table(windows[-1], bins, baseline))
    answer(as_json, document, f"{said(windows)}\nplot: {plot}")


def _manifest(store: Store, version: str) -> "Manifest":
    if version != "live":
        return store.manifest(version)
    live = store.live()
    if live is None:
        raise StoreError(f"No version of {store.model!r} is live.", remedy="`slipway promote` one.")
    return store.manifest(live.version)


def _look(function: str) -> Window:
    """What the function finds now. Raises StoreError with its own words where it cannot."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answered = boto3.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"now": True}).encode())
        raw: bytes = answered["Payload"].read()
    except (BotoCoreError, ClientError) as error:
        raise StoreError(f"{function} cannot be called: {error}.", remedy="Take the output DriftFunction.") from error
    if "FunctionError" in answered:
        raise StoreError(f"{function} failed: {json.loads(raw).get('errorMessage', '')}", remedy="Its log says more.")
    return Window.from_json(raw, source=function)
