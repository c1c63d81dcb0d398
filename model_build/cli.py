"""The command line: ``slipway build evaluate publish promote rollback history predict``.

Exit codes: 0 done; 1 refused, with one line on stderr saying what and how to mend it; 2 misuse of the command line;
3 the model was built but a gate refused it; 130 interrupted.
"""

import getpass
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from slipway.artifact import read_manifest
from slipway.errors import GateFailed, SlipwayError
from slipway.releases import Live
from slipway.store import Store

app = typer.Typer(
    name="slipway",
    help="From labelled text to a production text classifier on AWS serverless.",
    epilog="Exit codes: 0 done, 1 refused (one line says why), 2 wrong usage, 3 a gate refused the model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "unknown"


Config = Annotated[Path, typer.Option("--config", "-c", help="The build's TOML file, such as configs/demo.toml.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the configuration.")
]
Artifact = Annotated[Path, typer.Argument(help="A directory that `slipway build` made.")]
Bucket = Annotated[
    str, typer.Option(envvar="SLIPWAY_MODEL_BUCKET", help="The model bucket: the output ModelBucket of `cdk deploy`.")
]
Model = Annotated[str, typer.Option(envvar="SLIPWAY_MODEL", help="The model's name.")]
Why = Annotated[str, typer.Option(help="The reason, for the ledger.")]
By = Annotated[str, typer.Option(help="Who decides, for the ledger.", default_factory=_user, show_default="you")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]


@app.command()
def build(
    config: Config,
    out: Annotated[Path, typer.Option(help="Where artifacts go: <out>/<model>/<version>.")] = Path("build"),
    overrides: Overrides = None,
    rebuild: Annotated[bool, typer.Option(help="Build even if this very artifact is there.")] = False,
    as_json: Json = False,
) -> None:
    """Clean, train, export, quantize, check every gate, and write an artifact.

    The same configuration, data, base and code are built once: a second call finds the artifact. A killed build goes on
    from its last checkpoint.
    """
    from model_build.config import read_config
    from model_build.fingerprint import find_built

    settings = read_config(config, overrides or [])
    directory = out / settings.model
    artifact = None if rebuild else find_built(settings, directory)
    if reused := artifact is not None:
        _progress(as_json).print(f"  [bold]reused[/]   {artifact} (--rebuild builds it again)", highlight=False)
    else:
        from model_build.pipeline import Build
        from model_build.pipeline import build as run_build

        given = [part for override in overrides or [] for part in ("--set", override)]
        run = Build(
            config=settings, config_path=str(config), overrides=given, directory=directory, console=_progress(as_json)
        )
        artifact = run_build(run)
    manifest = read_manifest(artifact)
    _print(
        as_json,
        {"artifact": str(artifact), "version": manifest.version, "reused": reused, "metrics": manifest.metrics["test"]},
        f"{manifest.model} {manifest.version}: test accuracy {manifest.metrics['test']['int8']['accuracy']:.4f} (int8)",
    )


@app.command()
def evaluate(
    artifact: Artifact,
    config: Config,
    split: Annotated[str, typer.Option(help="train, dev, test, or all of the data.")] = "test",
    variant: Annotated[str, typer.Option(help="int8, fp16 or fp32.")] = "int8",
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Score an artifact on labelled text; `--set data.path=…` takes other data than it was built from."""
    from model_build.config import read_config
    from model_build.score import score_artifact

    measured = score_artifact(artifact, read_config(config, overrides or []), split=split, variant=variant)
    _print(as_json, measured, "\n".join(f"{name:<18} {value:.4f}" for name, value in measured.items()))


@app.command()
def publish(artifact: Artifact, bucket: Bucket, as_json: Json = False) -> None:
    """Upload an artifact to the model store. It serves nothing until it is promoted."""
    model = read_manifest(artifact).model
    version = Store(bucket, model).publish(artifact)
    _print(as_json, {"model": model, "version": version, "bucket": bucket}, f"published {model} {version}")


@app.command()
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


@app.command()
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


@app.command()
def history(bucket: Bucket, model: Model, as_json: Json = False) -> None:
    """List which version served when, who decided and why, newest first."""
    entries = Store(bucket, model).history()[::-1]
    if as_json or not entries:
        documents = [json.loads(entry.to_json()) for entry in entries]
        _print(as_json, documents, f"no version of {model} was promoted yet")
        return
    table = Table("", "at (UTC)", Column("version", no_wrap=True, min_width=29), "action", "by", "why", box=None)
    for index, entry in enumerate(entries):
        cells = ["live" if index == 0 else "", entry.at[:19].replace("T", " "), entry.version, entry.action, entry.by]
        table.add_row(*map(escape, [*cells, entry.why]))
    Console().print(table)


@app.command()
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
            artifact = store.fetch(_resolve(store, "live"), "int8", Path(scratch))
        predictor = load_predictor(artifact)
        answers = render_predictions(predictor.predict(texts), predictor.manifest)
    lines = (f"{a['label']:<12} {a['score']:.4f}  {text}" for a, text in zip(answers, texts, strict=True))
    _print(as_json, {"model_version": predictor.manifest.version, "predictions": answers}, "\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every refusal becomes one line on stderr and an exit code."""
    try:
        app(arguments)
    except SlipwayError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        raise SystemExit(3 if isinstance(error, GateFailed) else 1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _resolve(store: Store, version: str) -> str:
    if version == "latest":
        return next(iter(store.versions()[::-1]), version)
    if version == "live" and (live := store.live()):
        return live.version
    return version


def _report(as_json: bool, model: str, live: Live) -> None:
    _print(as_json, json.loads(live.to_json()), f"{model} {live.version} is live")


def _progress(as_json: bool) -> Console:
    return Console(stderr=as_json)


def _print(as_json: bool, document: Any, text: str) -> None:
    print(json.dumps(document, ensure_ascii=False) if as_json else text)  # noqa: T201


if __name__ == "__main__":
    main()
