"""An answer of the asynchronous endpoint → the piece of results that it is, and the step that waits goes on."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.batch.answers import Ticket
from functions.batch.crashes import without_texts
from functions.batch.queued import in_messages

logger = Logger()


@logger.inject_lambda_context
@without_texts(logger)
@in_messages
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    """EventBridge's event "Object Created" of what lies under ``out/`` or ``failed/``. It may come twice, or late."""
    key = str(event["detail"]["object"]["key"])
    ticket = Ticket.of(key)
    return {"state": ticket.settle(key) if ticket else "ignored"}
