"""The live version, for commands that take a built artifact as well."""

from pathlib import Path

import typer

from slipway.errors import StoreError
from slipway.store import Store


def live_artifact(bucket: str | None, model: str | None, trusted_keys: str, into: Path) -> Path:
    """The directory of the live version's files, below ``into``.

    Raises typer.BadParameter without bucket or model, StoreError if nothing is live, or as ``Store.fetch`` does.
    """
    if not bucket or not model:
        raise typer.BadParameter("give --artifact, or --bucket and --model for the live version")
    store = Store(bucket, model, trusted_keys=trusted_keys)
    live = store.live()
    if live is None:
        raise StoreError(f"No version of {model!r} is live.", remedy="`slipway promote` one, or give --artifact.")
    return store.fetch(live.version, None, into)
