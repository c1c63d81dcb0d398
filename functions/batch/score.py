"""A shard → pieces of results, as many as there is time for; the workflow calls again until none is left."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.crashes import without_texts
from functions.batch.places import bucket, plan_in, predictor_of, source_of
from slipway.batch.asking import give_up
from slipway.batch.job import Shard
from slipway.batch.scoring import score
from slipway.settings import function_memory_mb

logger = Logger()


@logger.inject_lambda_context
@without_texts(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """``{"folder", "shard"}`` → the same and ``final``: whether the shard is done.

    ``unanswered`` says that an endpoint was asked and the step waited in vain.
    """
    plan = plan_in(event["folder"])
    if "unanswered" in event:
        give_up(plan, bucket, event["unanswered"]["Error"])
    shard = Shard(**event["shard"])
    final = score(
        plan,
        shard,
        predictor_of(plan.job.model_version),
        source_of(plan.job),
        bucket,
        time_left=lambda: context.get_remaining_time_in_millis() / 1e3,
        memory_mb=function_memory_mb(),
    )
    logger.info("scored", job=plan.job.id, shard=shard.index, final=final)
    return {"folder": event["folder"], "shard": event["shard"], "final": final}
