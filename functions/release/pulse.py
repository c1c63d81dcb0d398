"""Every minute: how many requests the API got in the last whole minute → the store, where the routers look.

A function's process knows its own requests only, and how many all of them are together nobody but CloudWatch.
"""

import logging
import time
from typing import Any

from slipway.hosting.invoking import count_requests
from slipway.pulse import Pulse
from slipway.settings.release import PulseSettings
from slipway.store import Store

logger = logging.getLogger()
logger.setLevel(logging.INFO)
settings = PulseSettings.from_env()
store = Store(settings.model_bucket, settings.model)
_MINUTE, _LATE = 60, 30  # seconds; CloudWatch has a minute's count some time after it


def handler(_event: dict[str, Any], _context: object) -> dict[str, float]:
    """Requests a second, which are in the store as well."""
    end = int(time.time() - _LATE) // _MINUTE * _MINUTE
    requests = count_requests(settings.api_name, settings.api_stage, end=end, seconds=_MINUTE)
    pulse = Pulse(requests_per_second=requests / _MINUTE, at=float(end))
    store.write_pulse(pulse)
    logger.info("pulse", extra={"requests_per_second": pulse.requests_per_second})
    return {"requests_per_second": pulse.requests_per_second}
