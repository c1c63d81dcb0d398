"""``slipway status`` and ``slipway tail``: what a deployment does now, and what it says."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from model_build.commands.options import Bucket, Json, Model, answer, bucket_name

if TYPE_CHECKING:
    from model_build.operating.now import Job, Now
    from model_build.operating.readings import Readings

Stage = Annotated[
    str | None, typer.Option(envvar="SLIPWAY_STAGE", help="The stage, where the model is deployed in several.")
]
_LINES, _METRICS = "the function's log lines", "CloudWatch's metrics"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(status)
    app.command()(tail)


def status(  # noqa: PLR0913 - the options of a command are its arguments
    bucket: Bucket,
    model: Model,
    *,
    stage: Stage = None,
    data_bucket: Annotated[
        str | None,
        typer.Option(
            envvar="SLIPWAY_DATA_BUCKET", help="The output DataBucket, for the batch jobs.", callback=bucket_name
        ),
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, max=20_160, help="How far back.")] = 60,
    memory_mb: Annotated[int, typer.Option(min=128, help="What the function runs with, for the price.")] = 1769,
    from_logs: Annotated[bool, typer.Option(help="Read log lines and no metrics; so in a local cloud.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the dashboard's panels as well.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a deployment does: what serves, requests, errors, latency, labels, cost, jobs, alarms that are on."""
    from model_build.operating.page import render

    with _reached():
        lines = from_logs or bool(os.environ.get("AWS_ENDPOINT_URL"))
        now, readings = _look(model, bucket, stage, data_bucket, minutes, memory_mb, lines=lines)
    if html:
        html.write_text(render(now, readings, memory_mb=memory_mb), "utf-8")
    if as_json:
        answer(as_json, {**now.document(), "html": str(html) if html else None}, "")
        return
    from model_build.commands.observe_tables import print_now

    print_now(Console(highlight=False), now, html)


def tail(
    model: Model,
    *,
    stage: Stage = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only what went wrong.")] = False,
    minutes: Annotated[float, typer.Option(min=0, help="Begin so far back.")] = 5,
    follow: Annotated[bool, typer.Option(help="Go on with what comes, until Ctrl-C.")] = True,
) -> None:
    """Follow a deployment's log, a line a request: time, version, backend, label, milliseconds, tokens."""
    from model_build.operating.logs import find_deployed, follow_events, read_events
    from model_build.operating.told import tell

    console = Console(highlight=False, soft_wrap=True)
    try:
        with _reached():
            client = _client("logs")
            group = find_deployed(client, model, stage).group
            start = time.time() - 60 * minutes
            events = follow_events(client, group, start=start) if follow else read_events(client, group, start=start)
            for at, line in events:
                told = tell(at, line)
                if told and (told.is_trouble or not errors):
                    console.print(told.text)
    except KeyboardInterrupt:
        return  # how one leaves it


def _look(
    model: str, bucket: str, stage: str | None, data_bucket: str | None, minutes: int, memory_mb: int, *, lines: bool
) -> "tuple[Now, Readings]":
    from model_build.operating.cloudwatch import alarms_on, from_cloudwatch
    from model_build.operating.lines import from_lines
    from model_build.operating.logs import find_deployed, read_events
    from model_build.operating.now import Now
    from model_build.operating.panels import figures
    from model_build.operating.readings import Span
    from slipway.settings import service_name
    from slipway.store import Store

    logs, cloudwatch = _client("logs"), _client("cloudwatch")
    deployed = find_deployed(logs, model, stage)
    span, service = Span.until(time.time(), minutes=minutes), service_name(model, deployed.stage)
    if lines:
        readings = from_lines(read_events(logs, deployed.group, start=span.start), span, service=service)
    else:
        readings = from_cloudwatch(cloudwatch, span, service=service)
    return Now(
        model=model,
        stage=deployed.stage,
        source=_LINES if lines else _METRICS,
        minutes=minutes,
        live=Store(bucket, model).live(),
        figures=figures(readings, memory_mb=memory_mb),
        alarms=alarms_on(cloudwatch, f"slipway-{deployed.stage}-{model}-"),
        jobs=_jobs(data_bucket, model),
    ), readings


def _jobs(data_bucket: str | None, model: str) -> "list[Job]":
    if not data_bucket:
        return []
    from model_build.operating.now import Job
    from slipway.batch.state import latest, state_of
    from slipway.objects import Objects

    place = Objects(data_bucket, "")
    states = [dict(state_of(place, model, each, data_bucket)) for each in latest(place, model)[:10]]
    return [Job(s["input"], s["state"], s["rows"], s["rows_done"] or 0, s.get("errors") or 0) for s in states]  # type: ignore[arg-type]


def _client(service: str) -> Any:
    import boto3

    return boto3.client(service)


@contextmanager
def _reached() -> Iterator[None]:
    """Whatever AWS refuses is one line."""
    from botocore.exceptions import BotoCoreError, ClientError

    from model_build.operating.logs import ObserveError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        remedy = (
            "It takes logs:FilterLogEvents, cloudwatch:GetMetricData, ListMetrics and DescribeAlarms, and a region."
        )
        raise ObserveError(f"The deployment cannot be observed: {error}.", remedy=remedy) from error
