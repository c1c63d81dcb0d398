"""Options that several commands share, and how a command answers."""

import getpass
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console


def user() -> str:
    """Who is logged in, for the ledger."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "unknown"


def bucket_name(given: str | None) -> str | None:
    """As S3 has it. Raises typer.BadParameter for an address, which is what other tools take."""
    if given and ("/" in given or ":" in given):
        raise typer.BadParameter(f"{given!r} is no name of a bucket: give it without s3:// and without a path")
    return given


Config = Annotated[Path, typer.Option("--config", "-c", help="The build's TOML file, such as configs/demo.toml.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the configuration.")
]
Artifact = Annotated[Path, typer.Argument(help="A directory that `slipway build` made.")]
Bucket = Annotated[
    str,
    typer.Option(
        envvar="SLIPWAY_MODEL_BUCKET",
        help="The model bucket: the output ModelBucket of `cdk deploy`.",
        callback=bucket_name,
    ),
]
LiveBucket = Annotated[  # of a command that takes a built artifact as well
    str | None, typer.Option(envvar="SLIPWAY_MODEL_BUCKET", help="The model bucket.", callback=bucket_name)
]
Model = Annotated[str, typer.Option(envvar="SLIPWAY_MODEL", help="The model's name.")]
Why = Annotated[str, typer.Option(help="The reason, for the ledger.")]
By = Annotated[str, typer.Option(help="Who decides, for the ledger.", default_factory=user, show_default="you")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]


def progress(as_json: bool) -> Console:
    """Where stages are told: beside the one JSON document, not in it."""
    return Console(stderr=as_json)


def answer(as_json: bool, document: Any, text: str) -> None:
    """One JSON document, or text."""
    print(json.dumps(document, ensure_ascii=False) if as_json else text)  # noqa: T201
