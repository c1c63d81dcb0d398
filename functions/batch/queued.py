"""An event of EventBridge that comes in a message of an SQS queue. The queue is who tries again: Lambda forgets."""

import json
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from slipway.errors import ModelUnavailable

logger = logging.getLogger()  # not Powertools: a zip's runtime has none
_Context = TypeVar("_Context")


def in_messages(
    handler: Callable[[dict[str, Any], _Context], dict[str, str]],
) -> Callable[[dict[str, Any], _Context], dict[str, Any]]:
    """Let a handler of one event take a queue's messages, and answer with those that must come again.

    Whatever it raises lets all of them come again; what is done by then is not done twice. An event without a queue
    around it is taken as before, from whoever calls the function by hand.
    """

    @wraps(handler)
    def taken(event: dict[str, Any], context: _Context) -> dict[str, Any]:
        if "Records" not in event:
            return handler(event, context)
        again = [message["messageId"] for message in event["Records"] if not _done(handler, message, context)]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in again]}

    return taken


def _done(
    handler: Callable[[dict[str, Any], _Context], dict[str, str]], message: dict[str, Any], context: _Context
) -> bool:
    try:
        handler(json.loads(message["body"]), context)
    except ModelUnavailable as error:  # nobody's mistake: time mends it
        logger.warning("not yet", extra={"reason": str(error)})
        return False
    return True
