"""What an unforeseen error leaves behind: where it came from, and never its message, which may quote a row.

The runtime writes the message of an exception into the log, and Step Functions into the execution's history.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools import Logger

from slipway.crashes import frames_of
from slipway.errors import SlipwayError

_Answer = TypeVar("_Answer")


class Crashed(Exception):
    """Stands for an error that nobody foresaw. Its message is the error's kind."""


def without_texts(
    logger: Logger,
) -> Callable[[Callable[[dict[str, Any], Any], _Answer]], Callable[[dict[str, Any], Any], _Answer]]:
    """Let a handler raise our own errors, whose words are ours, and ``Crashed`` in the place of others.

    A retry is the workflow's, as before: it retries whatever fails.
    """

    def decorated(handler: Callable[[dict[str, Any], Any], _Answer]) -> Callable[[dict[str, Any], Any], _Answer]:
        @wraps(handler)
        def guarded(event: dict[str, Any], context: Any) -> _Answer:
            try:
                return handler(event, context)
            except SlipwayError:
                raise
            except Exception as error:  # whatever it is: the retry is the workflow's
                logger.error("crashed", error_type=type(error).__name__, frames=frames_of(error))
                crash = Crashed(type(error).__name__)
            raise crash  # outside of the handling, or its context would bring the message along

        return guarded

    return decorated
