"""What brings a rule's events to a function: a queue, from which none is lost.

A rule has done its part once Lambda has taken a call on. Lambda then tries a call that failed twice more, within three
minutes, and forgets the event. A queue gives a message out again until the function has done what it asks.
"""

import aws_cdk as cdk
from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_TIMEOUTS = 6  # of the function, as AWS asks of a queue before it; then the message comes again


class EventQueue(Construct):
    """``waiting``, from which ``function`` is called for each event; ``target``, by which a rule puts events into it.

    What ``patience`` has not done, and what EventBridge cannot put into the queue, goes to ``undelivered``. ``scope``
    must hold the function.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        timeout: cdk.Duration,
        patience: cdk.Duration,
        undelivered: sqs.IQueue,
    ) -> None:
        """``timeout`` is the function's own."""
        super().__init__(scope, construct_id)
        again = _TIMEOUTS * timeout.to_seconds()
        self.waiting = sqs.Queue(
            self,
            "Waiting",
            enforce_ssl=True,
            visibility_timeout=cdk.Duration.seconds(again),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=undelivered, max_receive_count=int(patience.to_seconds() // again)
            ),
        )
        function.add_event_source(
            # Not an error for each "not yet": the function says which messages must come again.
            sources.SqsEventSource(self.waiting, batch_size=1, report_batch_item_failures=True)
        )
        day = cdk.Duration.hours(24)
        self.target = targets.SqsQueue(
            self.waiting, dead_letter_queue=undelivered, max_event_age=day, retry_attempts=185
        )
        rule = "Serverless-LambdaEventSourceMappingDestination"
        reason = "What it cannot do stays in its queue, which has a dead-letter queue with an alarm."
        Validations.of(scope).acknowledge(Acknowledgment(id=rule, reason=reason))
