"""The file → shards. A file that cannot be scored ends here, with a manifest that says why."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.crashes import without_texts
from functions.batch.news import tell
from functions.batch.places import bucket, job_of, source_of
from slipway.batch.finishing import fail
from slipway.batch.planning import go_on_planning
from slipway.errors import BatchError

logger = Logger()


@logger.inject_lambda_context
@without_texts(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The execution's input → where the shards are listed, or why there are none; or the input again to go on with."""
    job = job_of(event)
    bucket.create(f"{job.folder}job.json", job.to_json())
    try:
        if job.request.refused:
            raise BatchError(job.request.refused)
        made = go_on_planning(
            job, source_of(job), bucket, time_left=lambda: context.get_remaining_time_in_millis() / 1e3
        )
    except BatchError as error:
        logger.warning("refused", job=job.id, kind=type(error).__name__)
        tell(fail(job, bucket, error))
        return {"state": "failed", "folder": job.folder, "reason": str(error)[:1000]}
    if made is None:
        logger.info("planning goes on", job=job.id)
        return {**event, "state": "planning"}
    logger.info("planned", job=job.id, rows=made.rows, shards=made.shards)
    return {
        "state": "planned",
        "folder": job.folder,
        "bucket": bucket.bucket,
        "shards": f"{job.folder}shards.jsonl",
        "rows": made.rows,
    }
