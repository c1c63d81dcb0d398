"""The variables of batch scoring."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Environment):
    """What the functions of batch scoring need to know. ``state_machine`` is the workflow's ARN."""

    model: str
    model_bucket: str
    data_bucket: str
    state_machine: str = ""
    trusted_keys: str = ""  # as in ``Settings``
