"""``slipway score`` and ``slipway jobs``: files scored row by row, here or by a deployment."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from model_build.commands.live import live_artifact
from model_build.commands.options import Json, LiveBucket, Model, answer, bucket_name
from model_build.commands.signing_options import Trusted
from slipway.batch.job import Request
from slipway.requests import Parameters, Truncation

_TRUNCATIONS = ", ".join(get_args(Truncation))


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(score)
    app.command()(jobs)


def score(  # noqa: PLR0913 - the options of a command are its arguments
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV, Parquet or plain text; gzip or zstd.")],
    *,
    artifact: Annotated[Path | None, typer.Option(help="A built artifact; by default the live version.")] = None,
    bucket: LiveBucket = None,
    model: Annotated[str | None, typer.Option(envvar="SLIPWAY_MODEL", help="The model's name.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go. [FILE.scored]")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one a core.")] = 0,
    text_column: Annotated[str | None, typer.Option(help="The column or field with the texts. [text]")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Add the scores of so many labels.")] = None,
    truncate: Annotated[str | None, typer.Option(help=f"Of long texts: {_TRUNCATIONS}. [right]")] = None,
    abstain_below: Annotated[float | None, typer.Option(min=0, max=1, help="Below it no label is given.")] = None,
    trusted_keys: Trusted = "",
    as_json: Json = False,
) -> None:
    """Score a file row by row here, on all cores; interrupted, the same command goes on where it stopped."""
    request = _request(text_column, top_k, truncate, abstain_below)
    folder = out or file.with_name(f"{file.name}.scored")
    with tempfile.TemporaryDirectory() as scratch:
        scores = artifact or live_artifact(bucket, model, trusted_keys, Path(scratch))
        manifest = _score(file, scores, folder, request, workers)
    results = [str(folder / result["key"]) for result in manifest["results"]]
    answer(as_json, {**manifest, "out": str(folder)}, _summary(manifest, results))


def jobs(
    identifier: Annotated[str | None, typer.Argument(metavar="[ID]", help="One job; by default all.")] = None,
    *,
    data_bucket: Annotated[
        str, typer.Option(envvar="SLIPWAY_DATA_BUCKET", help="The output DataBucket.", callback=bucket_name)
    ],
    model: Model,
    as_json: Json = False,
) -> None:
    """Show batch jobs of a deployment: state, rows done, errors, where the results are."""
    from slipway.batch.state import latest, state_of
    from slipway.objects import Objects

    place = Objects(data_bucket, "")
    found = [identifier] if identifier else latest(place, model)
    states = [state_of(place, model, each, data_bucket) for each in found]
    lines = [_line(dict(state)) for state in states]
    answer(as_json, states, "\n".join(lines) or f"no file for {model} was uploaded in the last days")


def _request(
    text_column: str | None, top_k: int | None, truncate: str | None, abstain_below: float | None
) -> Request | None:
    """None if nothing was asked: then a sidecar beside the file may."""
    if (text_column, top_k, truncate, abstain_below) == (None, None, None, None):
        return None
    if truncate is not None and truncate not in get_args(Truncation):
        raise typer.BadParameter(f"--truncate {truncate!r} is not one of {_TRUNCATIONS}")
    parameters = Parameters(truncation=truncate or "right", top_k=top_k, abstain_below=abstain_below or 0.0)  # type: ignore[arg-type]
    return Request(text_column=text_column or Request.text_column, parameters=parameters)


def _score(file: Path, artifact: Path, out: Path, request: Request | None, workers: int) -> dict[str, Any]:
    from slipway.batch.local import score_file

    columns = (
        TextColumn("  scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows  {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task: TaskID = bar.add_task("", total=None, speed="")

        def tell(done: int, rows: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=rows, speed=f"{speed:,.0f} rows/s" if speed else "")

        return score_file(file, artifact, out, request=request, workers=workers, progress=tell)


def _summary(manifest: dict[str, Any], results: list[str]) -> str:
    labels = ", ".join(f"{label} {count:,}" for label, count in manifest["labels"].items())
    return (
        f"{manifest['scored']:,} of {manifest['rows']:,} rows scored in {manifest['seconds']:.1f} s "
        f"({manifest['rows_per_second']:,.0f} rows/s), {manifest['errors']:,} refused; {labels}\n" + "\n".join(results)
    )


def _line(state: dict[str, Any]) -> str:
    rows = "" if state["rows"] is None else f"  {state['rows_done']:,} of {state['rows']:,} rows"
    errors = f", {state['errors']:,} refused" if state.get("errors") else ""
    where = state.get("reason") or " ".join(f"s3://{state['bucket']}/{key}" for key in state.get("results", [])[:3])
    return f"{state['id']}  {state['state']}{rows}{errors}  {state['input']}\n  {where}".rstrip()
