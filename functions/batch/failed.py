"""An execution that failed, timed out or was stopped → a manifest that says so, and the news of it.

Called by EventBridge, through a queue, and not by the workflow: a step that had caught the error would leave nothing
to redrive.
"""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.crashes import without_texts
from functions.batch.news import tell
from functions.batch.places import bucket, job_of
from functions.batch.queued import in_messages
from slipway.batch.finishing import fail
from slipway.batch.job import MANIFEST
from slipway.errors import BatchError

logger = Logger()
_REMEDY = "`aws stepfunctions redrive-execution` goes on where it stopped: what is scored is not scored again."


@logger.inject_lambda_context
@without_texts(logger)
@in_messages
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    """The event "Step Functions Execution Status Change"."""
    detail = event["detail"]
    job = job_of(json.loads(detail["input"]))
    kept = bucket.read(f"{job.folder}{MANIFEST}")
    # Failed by ``plan``, which knows better why; or the event is late, and a redrive has finished the job since.
    if kept and json.loads(kept[0])["state"] in ("failed", "finished"):
        return {"state": "known", "job": job.id}
    reason = " ".join(filter(None, (detail["status"], detail.get("error"), detail.get("cause"))))
    logger.error("failed", job=job.id, status=detail["status"], error=detail.get("error"))
    document = fail(job, bucket, BatchError(f"The workflow ended: {reason[:1000]}.", remedy=_REMEDY))
    if document["state"] == "finished":  # in this very moment
        return {"state": "known", "job": job.id}
    tell(document)
    return {"state": "failed", "job": job.id}
