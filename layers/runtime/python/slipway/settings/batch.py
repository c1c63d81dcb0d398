"""The variables of batch scoring."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Environment):
    """What the functions of batch scoring need to know. ``state_machine`` is the workflow's ARN.

    ``gpu_async_endpoint`` is the name of the asynchronous endpoint that large jobs ask; empty if none does.
    """

    model: str
    model_bucket: str
    data_bucket: str
    state_machine: str = ""
    trusted_keys: str = ""  # as in ``Settings``
    gpu_async_endpoint: str = ""
    gpu_wait_seconds: int = 3_600  # for an answer: waking takes about nine minutes, then shards queue
