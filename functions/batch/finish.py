"""Pieces → results and manifest, and the news of it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.crashes import without_texts
from functions.batch.news import tell
from functions.batch.places import bucket, plan_in
from slipway.batch.finishing import finish
from slipway.settings import function_memory_mb

logger = Logger()
_COUNTS = ("state", "superseded_by", "job", "rows", "scored", "errors", "seconds")


@logger.inject_lambda_context
@without_texts(logger)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """``{"folder"}`` → the job's counts."""
    document = finish(plan_in(event["folder"]), bucket, memory_mb=function_memory_mb(), scored_by="lambda")
    newer = document.get("superseded_by")
    # Who waits for results is not sent to the outbox, which is the newer job's; that one has an event of its own.
    tell({**document, "state": "superseded", "reason": f"The newer job is {newer}."} if newer else document)
    logger.info("finished", job=document["job"], rows=document["rows"], errors=document["errors"], superseded_by=newer)
    return {name: document[name] for name in _COUNTS if name in document}
