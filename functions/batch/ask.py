"""A shard → a question for the asynchronous endpoint. The step waits, at no cost, until somebody settles its ticket.

Whatever goes wrong settles it at once: then functions score the shard.
"""

import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.answers import Ticket
from functions.batch.crashes import without_texts
from functions.batch.places import bucket, plan_in, settings, source_of
from slipway.batch.asking import Unanswered, is_given_up, question, question_name
from slipway.batch.job import Plan, Shard
from slipway.batch.pieces import pieces_of
from slipway.errors import StoreError
from slipway.hosting.invoking import ask_later

logger = Logger()


@logger.inject_lambda_context
@without_texts(logger)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    """``{"folder", "shard", "token"}`` → one word for what became of it."""
    began, plan, shard = time.perf_counter(), plan_in(event["folder"]), Shard(**event["shard"])
    ticket = Ticket(folder=event["folder"], shard=event["shard"], token=event["token"])
    done = pieces_of(plan, shard.index, bucket)
    if done and done[-1].final:
        return {"state": ticket.done()}
    try:
        keys = _ask(plan, shard)
    except Unanswered as reason:
        return {"state": ticket.refuse(plan, reason)}
    asked = Ticket(**{**vars(ticket), "seconds": time.perf_counter() - began})
    for key in keys:
        asked.keep(key)
    # An answer that was faster than its ticket found nobody to settle it.
    early = [key for key in keys if bucket.read(key)]
    return {"state": asked.settle(early[0]) if early else "asked"}


def _ask(plan: Plan, shard: Shard) -> list[str]:
    """The keys under which the answer, or the reason for none, will be. Raises Unanswered."""
    if is_given_up(plan, bucket):
        raise Unanswered("given up")
    name = question_name(plan, shard.index)
    bucket.write(name, [question(plan, shard, source_of(plan.job), bucket)])
    try:
        places = ask_later(
            settings.gpu_async_endpoint,
            bucket.url(name),
            inference_id=f"{plan.job.id}-{shard.index:06d}",
            wait_seconds=settings.gpu_wait_seconds,
        )
    except StoreError as error:
        logger.warning("not asked", job=plan.job.id, shard=shard.index, reason=str(error))
        raise Unanswered("refused") from error
    return [place.removeprefix(bucket.url()) for place in places]
