"""The variables of what looks for drift."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class DriftSettings(Environment):
    """What the function needs to know that looks for drift in the live version of ``model``.

    ``log_group`` is the API's function's; ``stage`` keeps apart what two stages of a model tell CloudWatch.
    """

    model: str
    model_bucket: str
    log_group: str
    stage: str
    trusted_keys: str = ""  # as in ``Settings``
