"""``slipway keys new|show``: the keys that sign versions. ``slipway verify`` says who has signed one."""

from pathlib import Path
from typing import Annotated

import typer

from model_build.commands.options import Json, answer
from model_build.commands.signing_options import Key
from model_build.signing import Signer, make_key, open_signer, to_pem

_keys = typer.Typer(no_args_is_help=True, help="Keys that sign versions: see docs/signing.md.")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (new, show):
        _keys.command()(command)
    app.add_typer(_keys, name="keys")


def new(
    path: Annotated[Path, typer.Argument(help="A file that is not there yet: the private key, in PEM.")],
    as_json: Json = False,
) -> None:
    """Make a key in a file. For a team one in KMS is better: `cdk deploy -c signing_key=true` makes it."""
    _tell(make_key(path), as_json)


def show(key: Key, as_json: Json = False) -> None:
    """Print the public half of a key, and the fingerprint that a deployment trusts it by."""
    _tell(open_signer(key), as_json)


def _tell(signer: Signer, as_json: bool) -> None:
    pem = to_pem(signer.public_key)
    document = {"key": signer.name, "fingerprint": signer.fingerprint, "public_key": pem}
    answer(as_json, document, f"{pem}fingerprint {signer.fingerprint}")
