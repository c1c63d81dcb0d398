"""What only a server with a queue refuses; the tree that these belong to is drawn in ``slipway.errors``.

ModelUnavailable           try again                                         → 503, Retry-After
├── NotServing             no model yet, or the process is about to end      gRPC: UNAVAILABLE
├── QueueFull              more waits already than the queue may hold        gRPC: RESOURCE_EXHAUSTED
└── DeadlinePassed         not answered in the time that the request had     gRPC: DEADLINE_EXCEEDED
"""

from slipway.errors import ModelUnavailable


class NotServing(ModelUnavailable):
    """The model is being loaded, or the process is ending."""


class QueueFull(ModelUnavailable):
    """The texts would wait longer than anybody does."""


class DeadlinePassed(ModelUnavailable):
    """The request had its time."""
