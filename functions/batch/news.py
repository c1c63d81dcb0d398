"""What others may wait for: an event on the default bus when a job has ended."""

from collections.abc import Mapping
from typing import Any

from slipway.workflows import announce

SOURCE = "slipway.batch"
_TOLD = ("job", "state", "model", "model_version", "input", "rows", "scored", "errors", "seconds", "reason")


def tell(document: Mapping[str, Any]) -> None:
    """Send ``slipway.batch.finished`` or ``slipway.batch.failed``, with what the manifest says in short."""
    detail = {name: document[name] for name in _TOLD if name in document}
    announce(SOURCE, f"{SOURCE}.{document['state']}", detail)
