"""``slipway publish promote rollback history predict``: what is done with a built artifact."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from model_build.commands.options import Artifact, Bucket, By, Json, Model, Why, answer
from slipway.artifact import read_manifest
from slipway.releases import Live
from slipway.store import Store


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (publish, promote, rollback, history, predict):
        app.command()(command)


def publish(artifact: Artifact, bucket: Bucket, as_json: Json = False) -> None:
    """Upload an artifact to the model store. It serves nothing until it is promoted."""
    model = read_manifest(artifact).model
    version = Store(bucket, model).publish(artifact)
    answer(as_json, {"model": model, "version": version, "bucket": bucket}, f"published {model} {version}")


def promote(
    version: Annotated[str, typer.Argument(help="A published version, or `latest`.")],
    bucket: Bucket,
    model: Model,
    by: By,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Make a published version live. Warm functions serve it within 30 seconds."""
    store = Store(bucket, model)
    _report(as_json, model, store.promote(_resolve(store, version), by=by, why=why))


def rollback(
    bucket: Bucket,
    model: Model,
    by: By,
    to: Annotated[str | None, typer.Option(help="A published version; by default the one that served before.")] = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Make the previous version live again; twice goes back two versions."""
    _report(as_json, model, Store(bucket, model).rollback(by=by, why=why, to=to))


def history(bucket: Bucket, model: Model, as_json: Json = False) -> None:
    """List which version served when, who decided and why, newest first."""
    entries = Store(bucket, model).history()[::-1]
    if as_json or not entries:
        documents = [json.loads(entry.to_json()) for entry in entries]
        answer(as_json, documents, f"no version of {model} was promoted yet")
        return
    table = Table("", "at (UTC)", Column("version", no_wrap=True, min_width=29), "action", "by", "why", box=None)
    for index, entry in enumerate(entries):
        cells = ["live" if index == 0 else "", entry.at[:19].replace("T", " "), entry.version, entry.action, entry.by]
        table.add_row(*map(escape, [*cells, entry.why]))
    Console().print(table)


def predict(
    texts: Annotated[list[str], typer.Argument(help="Texts to classify.")],
    artifact: Annotated[Path | None, typer.Option(help="A built artifact; by default the live version.")] = None,
    bucket: Annotated[str | None, typer.Option(envvar="SLIPWAY_MODEL_BUCKET", help="The model bucket.")] = None,
    model: Annotated[str | None, typer.Option(envvar="SLIPWAY_MODEL", help="The model's name.")] = None,
    as_json: Json = False,
) -> None:
    """Classify texts here, with a built artifact or with the version that is live."""
    from slipway.messages import check_text, render_predictions
    from slipway.predictor import load_predictor

    for position, text in enumerate(texts):
        check_text(text, f"text {position + 1}")
    with tempfile.TemporaryDirectory() as scratch:
        if artifact is None:
            if not bucket or not model:
                raise typer.BadParameter("give --artifact, or --bucket and --model for the live version")
            store = Store(bucket, model)
            artifact = store.fetch(_resolve(store, "live"), None, Path(scratch))
        predictor = load_predictor(artifact)
        answers = render_predictions(predictor.predict(texts), predictor.manifest)
    lines = (f"{a['label']:<12} {a['score']:.4f}  {text}" for a, text in zip(answers, texts, strict=True))
    answer(as_json, {"model_version": predictor.manifest.version, "predictions": answers}, "\n".join(lines))


def _resolve(store: Store, version: str) -> str:
    if version == "latest":
        return next(iter(store.versions()[::-1]), version)
    if version == "live" and (live := store.live()):
        return live.version
    return version


def _report(as_json: bool, model: str, live: Live) -> None:
    answer(as_json, json.loads(live.to_json()), f"{model} {live.version} is live")
