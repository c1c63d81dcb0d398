"""The options that are about who made a version."""

from typing import Annotated

import typer

Key = Annotated[str, typer.Argument(help="A PEM file, or the ARN or alias of a KMS key.")]
Sign = Annotated[
    str,
    typer.Option(
        envvar="SLIPWAY_SIGNING_KEY", metavar="KEY", help="Sign with a PEM file, or the ARN or alias of a KMS key."
    ),
]
Trusted = Annotated[
    str,
    typer.Option(
        envvar="SLIPWAY_TRUSTED_KEYS", help="Fingerprints of keys, by commas; one of them must have signed the version."
    ),
]
